"""``python -m signet_client.cli``."""

from signet_client.cli import main

main()

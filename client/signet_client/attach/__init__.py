"""What puts an API behind Signet, written down for each tool that APIs are deployed with.

A module for each tool has ``snippet(attachment)``, which returns text to paste. It holds what the API needs
and the tool does not do by itself: the authorizer, asked for every request (TTL 0, no identity source, since
API Gateway itself answers where one is missing), permission to invoke it, a REST API's gateway responses.
"""

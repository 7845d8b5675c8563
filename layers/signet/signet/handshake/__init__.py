"""PCH-Lite: challenge, proof, binding, the guard that decides. Pure: no network, clock or environment."""

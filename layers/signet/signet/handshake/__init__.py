"""PCH-Lite, by its users. Pure: no network, clock or environment.

issuer      challenges, and the nonces in them
verifier    decides on a request, in numbered steps
authorizer  decides and records
uploader    takes the bundles of detached proofs

Nothing is imported here: a function loads only the modules that it uses.
"""

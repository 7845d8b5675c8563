"""Signet: policy, enforcement, proof.

The packages, outermost last; each imports only what stands above it:

    errors, ports                      what may go wrong; what the outside must promise
    handshake, breaker, policy         who asks, how the system feels, what is allowed
    receipts, log, pack                what was decided, kept, and handed out
    aws                                the only package that imports boto3
"""

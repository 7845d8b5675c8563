"""Signet: policy, enforcement, proof.

The packages, outermost last; each imports only what stands above it:

    core                               errors, ports, shared words; canonical forms, instants, clocks
    crypto                             signature suites, keys and the files they are kept in
    handshake, breaker, policy         who asks, how the system feels, what is allowed
    receipts, log, pack                what was decided, kept, and handed out
    aws                                the only package that imports boto3
"""

"""Signet: policy, enforcement, proof.

The packages, outermost first; each imports only what stands below it, and packages of one line do not know
each other. pyproject.toml (tool.importlinter) says the same, and ``make check`` holds it:

    aws, telemetry      adapters to AWS, which alone import boto3; the names of metrics, for the functions
    audit, backend      whether all that is stored proves what it should; what a backend adds
    pack                a day of the log, handed out and verified offline
    handshake, log      who asks, and may they; what was decided, kept as a Merkle tree
    breaker, gateway,   how the system feels; what an event of API Gateway says;
    policy              what is allowed
    crypto, receipts    signature suites and keys; decisions as bytes, and their chains
    core                errors, ports, shared words; canonical forms, instants, clocks
"""

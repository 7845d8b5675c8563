"""Signatures and keys: raw bytes in, raw bytes out, one encoding of each. Stands on ``core`` alone.

suites          the signature suites, by the name in ``alg``
_primitives     the algorithms that the suites are made of
mldsa_provider  the library that verifies ML-DSA-65
keyfiles        key files in PEM
keyforms        other forms in which people hold their keys

Nothing is imported here: a function that verifies loads no reader of key files.
"""

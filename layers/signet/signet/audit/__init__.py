"""Auditing a whole log: every object read, every hash recomputed, nothing believed.

``tree`` walks any C2SP tlog-tiles log and ``tiles`` audits it; ``heads`` and ``log`` add what a Signet log
promises beyond that; ``run`` is what both audits share. A pack proves one day to an outsider; an audit checks
that what is stored still proves every day.
"""

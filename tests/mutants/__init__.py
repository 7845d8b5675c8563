"""Mutants of the critical modules: one small change at a time that some test has to notice.

    python -m tests.mutants [--sample N] [--seed N] [--module TEXT] [--jobs N] [--json]

A change that no test notices is a behaviour that no test holds. The sample is drawn anew in each run (its
seed is printed), so that the figure stays honest. Mutants that cannot be told from the original stand in
``equivalent.py``, each with its reason.
"""

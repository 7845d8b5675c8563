"""``signet doctor``: reads a deployment, and says what is wrong with it and which line mends it.

    reading*  →  facts  →  checks  →  report

Only ``reading`` and its two helpers call AWS, and only to read. ``checks`` are pure functions of facts. What
could not be read is a fact too (``Unseen``): a deployment that was not seen whole is never called healthy.
"""

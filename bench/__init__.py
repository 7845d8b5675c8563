"""Measures what Signet promises about its cost, each figure beside its limit or its peer (``make bench``)."""

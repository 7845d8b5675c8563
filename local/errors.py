"""What can go wrong with the embedded stack, in words for the person at the terminal."""

from __future__ import annotations


class StackError(Exception):
    """The embedded stack cannot do what was asked; the message says what to do next."""

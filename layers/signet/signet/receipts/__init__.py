"""Receipts of decisions: their canonical form, their shape, and the hash chain they are kept in."""

"""Reads Rego without running it, for what the interpreter takes silently: a rule that can never fire.

``policy check`` and ``policy push`` do this, on the machine of the operator. No function of the stack imports
this package: what it finds is found before a policy is in force.
"""

"""Where each function is put together: its settings from the environment, and a builder.

One module per function, named as the function; ``authorizer`` and ``handshake`` share ``handshake_settings``
and ``issuer``. A function imports its own module, so a cold start loads nothing that belongs to another.
Nothing runs at import; builders make AWS clients, and may read secrets.
"""

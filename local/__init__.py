"""The embedded stack: the real template, built and deployed by the real SAM CLI, on an emulator of its own.

``python -m local up`` keeps a stack for hands-on use; ``local.stack.embedded()`` gives tests and the demo one
that is gone when they are done. Everything it makes is under ``.local/``:

    .local/tools/    the emulator and SAM CLI, each in an environment of its own (they pin what they need)
    .local/builds/   outputs of ``sam build``, named by the hash of their inputs, shared by all stacks
    .local/<name>/   one stack: lock, state, env, log, temporary files
"""

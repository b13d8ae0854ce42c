"""The command line's words: one module per group, found by ``cli.py``, which says what such a module needs."""

"""vcon-platform: conversations captured as vCons, processed by Dagster, landed as rows.

This package is the library (how it works). What exists in a deployment stands beside it in
``assets/``, ``resources/`` and ``sensors/``; ``definitions.py`` is where the two meet.
"""

__version__ = "0.1.0"

"""The built-in kinds of destination: one module each, or one package where it takes several.

Belongs here: a kind, and what kinds share. Not here: what every destination can do (``../destination.py``), what should
stand in it (``../reconcile.py``). Nothing outside imports a kind: it is found by its name among the entry points, as a
stranger's is. What export writes (``../exporting.py``) is written as the kinds of ``files`` write it.

Shared: ``calling`` (services over HTTP), ``messages`` and ``memory`` (those that only take messages, and what they were
sent), ``row_ids`` (a row's name where there is no key of several columns), ``google_credentials``, ``arrow_tables``
(Parquet and DuckDB), ``option_fields``. In a package, ``destination`` is the kind; in ``files``, which holds several
kinds, ``base`` is what they have in common.
"""

"""Folders of files as destinations: ``parquet``, ``csv``, ``ndjson`` (a file per day), ``object_store`` (a file per
conversation)."""

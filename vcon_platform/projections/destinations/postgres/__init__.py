"""Postgres as a destination."""

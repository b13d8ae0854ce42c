"""Embedded Redis and Postgres, and the supervisor behind vcon-platform up."""

"""1st floor: the document. Knows the vCon format and nothing of Redis, Postgres or Dagster."""

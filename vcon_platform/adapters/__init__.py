"""3rd floor: one file per kind of source; builds vCons, knows nothing of Dagster."""

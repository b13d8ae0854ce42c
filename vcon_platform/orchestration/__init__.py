"""6th floor: processors as ops, pipelines as Dagster jobs, hooks between runs and leases."""

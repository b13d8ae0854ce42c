"""Dagster resources: what exists in this deployment. Thin: translates between Dagster and the library, holds no business rule."""

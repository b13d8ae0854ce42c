"""``vcon-platform pipelines import-conserver``: a conserver's configuration as definitions of ours."""

import typer


def register(app: typer.Typer) -> None:
    """Add the verb to the group ``pipelines``."""

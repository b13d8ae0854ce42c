"""Postgres: where the ledger and the projected tables are."""

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy import Engine, create_engine

from vcon_platform.settings import load_settings


class PostgresResource(dg.ConfigurableResource[Engine]):
    """The Postgres of this installation's settings. It has no fields, so that no password shows in the UI."""

    _engine: Engine | None = PrivateAttr(default=None)

    def engine(self) -> Engine:
        """An SQLAlchemy engine, the same one for the whole process; connects when first used."""
        if self._engine is None:
            self._engine = create_engine(load_settings().postgres_url(), pool_pre_ping=True, pool_size=2)
        return self._engine

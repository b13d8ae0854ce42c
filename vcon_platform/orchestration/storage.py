"""Where Dagster keeps its own records, named by ``dagster_home/dagster.yaml``.

Belongs here: the thin subclasses through which Dagster's storages take their place from :mod:`vcon_platform.settings`,
so that one setting moves everything and no password or path of a machine stands in dagster.yaml or the environment.
Does not belong here: anything about conversations (``store/``, ``ledger/``).

Private Dagster names used: ``_engine`` and ``optimize_for_webserver`` of the three Postgres storages, in
:func:`_share_pool` only.
"""

from collections.abc import Mapping
from typing import Any, Self

import sqlalchemy
from dagster import Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import set_pg_statement_timeout

from vcon_platform.services.postgres import create_schemas
from vcon_platform.settings import load_settings

#: One process holds this many connections open, and may open that many more while it is busy.
_POOL_SIZE, _POOL_OVERFLOW = 2, 30
_POOL_RECYCLE_SECONDS = 1800


class PooledPostgresStorage(DagsterPostgresStorage):
    """Dagster's Postgres storage with one small connection pool for its three parts.

    Dagster opens a connection per event and query outside the webserver: more than half of a short run's time.
    Without ``postgres_url`` in its configuration it takes the platform's Postgres, schema ``dagster``.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        _share_pool(self, postgres_url)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {
            "postgres_url": Field(StringSource, is_required=False),
            "should_autocreate_tables": Field(bool, is_required=False, default_value=True),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        url = config_value.get("postgres_url")
        if not url:
            settings = load_settings()
            create_schemas(settings.postgres_url())
            url = settings.dagster_postgres_url()
        return cls(url, config_value["should_autocreate_tables"], inst_data)


def _share_pool(storage: DagsterPostgresStorage, postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",  # as Dagster's own engines; its transactions set their level themselves
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_recycle=_POOL_RECYCLE_SECONDS,
        # A connection that died with a restarted Postgres is replaced unseen instead of failing a run's next event.
        pool_pre_ping=True,
    )
    limited: list[int] = []

    def limit_statements(statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:  # noqa: ARG001
        """What the webserver asks for. Dagster would replace the engine by one that does not notice a restarted
        Postgres, and the UI would answer its next request with an error."""
        if not limited:  # each of the three parts is asked
            limited.append(statement_timeout)
            sqlalchemy.event.listen(
                engine, "connect", lambda connection, _: set_pg_statement_timeout(connection, statement_timeout)
            )

    for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
        vars(part).update(_engine=engine, optimize_for_webserver=limit_statements)


class DataDirComputeLogs(LocalComputeLogManager):
    """What runs print, kept under ``{data_dir}/compute_logs``."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(  # the configuration is empty on purpose
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> Self:
        return cls(base_dir=str(load_settings().data_dir / "compute_logs"), inst_data=inst_data)


class DataDirArtifacts(LocalArtifactStorage):
    """Dagster's local files (step outputs of its own IO managers), kept under ``{data_dir}/artifacts``."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        return {}

    @classmethod
    def from_config_value(  # the configuration is empty on purpose
        cls,
        inst_data: ConfigurableClassData | None,
        config_value: Mapping[str, Any],  # noqa: ARG003
    ) -> Self:
        return cls(base_dir=str(load_settings().data_dir / "artifacts"), inst_data=inst_data)

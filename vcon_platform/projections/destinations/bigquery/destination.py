"""BigQuery as a destination: rows of projections in tables by day.

Belongs here: what the destination answers. Not here: options (``options.py``), tables (``schema.py``), writing
(``session.py``), calls (``client.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Faults, Session, Step
from vcon_platform.projections.destinations.bigquery.client import Missing, Warehouse
from vcon_platform.projections.destinations.bigquery.options import BigQueryOptions, TableName, options_of
from vcon_platform.projections.destinations.bigquery.schema import ensure_table, plan_table, type_of
from vcon_platform.projections.destinations.bigquery.session import UUIDS, BigQuerySession, delete, standing
from vcon_platform.projections.destinations.google_credentials import google_credentials
from vcon_platform.projections.errors import DestinationError, ProjectionInvalid
from vcon_platform.projections.explain import choose
from vcon_platform.projections.model import Projection
from vcon_platform.references import value_of, variable_of

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

SCOPES = ("https://www.googleapis.com/auth/bigquery",)
_NO_CLUSTER = frozenset({"FLOAT64", "JSON"})
_NOT_ALLOWED = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_")
"""How no column of BigQuery may begin."""


class BigQueryDestination(Destination):
    """Rows in BigQuery tables. ``client`` makes a projection's client when it is first used."""

    kind: ClassVar[str] = "bigquery"
    options: ClassVar[type[BaseModel]] = BigQueryOptions
    title: ClassVar[str] = "BigQuery"

    def __init__(
        self, client: Callable[[Projection], Client], *, warehouse: Callable[..., Warehouse] = Warehouse
    ) -> None:
        self._client = client
        self._warehouse = warehouse
        self._known: dict[str, tuple[Projection, Warehouse]] = {}

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - several may be served
        def client(served: Projection) -> Client:
            from google.api_core.client_options import ClientOptions
            from google.auth.credentials import AnonymousCredentials, Credentials
            from google.cloud.bigquery import Client

            where, options = f"projection {served.name}", options_of(served)
            endpoint = value_of(options.endpoint)
            if options.endpoint and endpoint is None:
                raise DestinationError(f"{where}: the variable {variable_of(options.endpoint)} (endpoint) is not set")
            if endpoint and not options.credentials:
                credentials: Credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
            else:
                credentials = google_credentials(options.credentials, SCOPES, where=where, folder=connections.data_dir)
            return Client(
                project=options.project,
                credentials=credentials,
                location=options.location or None,
                client_options=ClientOptions(api_endpoint=endpoint) if endpoint else None,
            )

        return cls(client)

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        place = f"/destinations/{[ref.kind for ref in projection.destinations].index(cls.kind)}/bigquery"
        kinds = {column.name: type_of(column) for column in projection.columns}
        wrong = [
            f"{place}/cluster/{at} {choose(name, kinds, 'a column')}"
            if name not in kinds
            else f"{place}/cluster/{at} rows cannot be clustered by {name!r}, a list, a JSON value or a double"
            for at, name in enumerate(options_of(projection).cluster)
            if name not in kinds or kinds[name][1] or kinds[name][0] in _NO_CLUSTER
        ]
        wrong += (
            f"/columns/{at}/name {column.name!r} is no name for a column in BigQuery: choose another"
            for at, column in enumerate(projection.columns)
            if column.name.startswith(_NOT_ALLOWED)
        )
        if wrong:
            raise ProjectionInvalid(f"projection {projection.name}", wrong)

    @classmethod
    def target(cls, projection: Projection) -> str:
        return str(TableName.of(projection))

    def ensure(self, projection: Projection) -> None:
        ensure_table(self._house(projection), projection)

    def plan(self, projection: Projection) -> list[Step]:
        return plan_table(self._house(projection), projection)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        try:
            return standing(self._house(projection), projection, days)
        except Missing:
            return {}

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return BigQuerySession(projection, days, self._house(projection))

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        house, column = self._house(projection), projection.uuid_column
        wanted = list(dict.fromkeys(uuids))
        statement = (
            f"SELECT DISTINCT `{column}`, _day FROM {TableName.of(projection).quoted} "  # noqa: S608 - names are checked
            f"WHERE `{column}` IN UNNEST(@uuids)"
        )
        found: set[str] = set()
        try:
            for at in range(0, len(wanted), UUIDS):
                some = wanted[at : at + UUIDS]
                there = house.rows(statement, uuids=("STRING", some))
                if there:
                    delete(house, projection, some, sorted({day.isoformat() for _, day in there}))
                    found |= {uuid for uuid, _ in there}
        except Missing:
            return []
        return [uuid for uuid in wanted if uuid in found]

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        statement = f"SELECT _day, COUNT(*) FROM {TableName.of(projection).quoted}"  # noqa: S608 - names are checked
        try:
            if days is None:
                rows = self._house(projection).rows(f"{statement} GROUP BY 1")
            else:
                chosen = ("DATE", list(days))
                rows = self._house(projection).rows(f"{statement} WHERE _day IN UNNEST(@days) GROUP BY 1", days=chosen)
        except Missing:
            return {}
        return {day.isoformat(): number for day, number in rows if isinstance(day, date)}

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        required = projection.never_empty
        key = ", ".join(f"`{name}`" for name in projection.key)
        empty = ", ".join(f"COUNTIF(`{name}` IS NULL)" for name in required)
        statement = (
            f"SELECT COUNT(*) - COUNT(DISTINCT TO_JSON_STRING(STRUCT({key}))), {empty} "  # noqa: S608 - names are checked
            f"FROM {TableName.of(projection).quoted} WHERE _day IN UNNEST(@days)"
        )
        try:
            [(duplicates, *counts)] = self._house(projection).rows(statement, days=("DATE", list(days)))
        except Missing:
            return Faults()
        return Faults(int(duplicates), {name: count for name, count in zip(required, counts, strict=True) if count})

    def _house(self, projection: Projection) -> Warehouse:
        known = self._known.get(projection.name)
        if known is None or known[0] != projection:
            labels = options_of(projection).labels
            made = self._warehouse(self._client(projection), where=f"projection {projection.name}", labels=labels)
            known = self._known[projection.name] = (projection, made)
        return known[1]

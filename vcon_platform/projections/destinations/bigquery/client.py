"""Talking to BigQuery: jobs with an end to waiting, and errors that people can use.

Belongs here: what every call has in common. Not here: what is asked for (``session.py``, ``schema.py``).

The client's own retries take up to ten minutes, during which nobody hears a word; here they end after
:data:`PATIENCE_S`. Every statement is one that may be run again. BigQuery's messages quote the values they complain
about, so only their reason (a word such as invalidQuery) is passed on.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from vcon_platform.projections.destinations.bigquery.options import TableName
from vcon_platform.projections.destinations.google_credentials import refused_login
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable

if TYPE_CHECKING:
    from google.cloud.bigquery import Client, Dataset, SchemaField, Table

PATIENCE_S = 60.0
"""How long a call, and the beginning of a job, may be tried again."""
ANSWER_S = 60.0
"""How long one request may take."""
JOB_S = 600.0
"""How long a job may run. One that takes longer goes on without us, and does no harm."""
_QUOTA = frozenset({"rateLimitExceeded", "quotaExceeded", "jobRateLimitExceeded", "backendError"})


class Missing(DestinationError):
    """The dataset or the table is not there: it holds nothing."""


class Warehouse:
    """BigQuery, for one projection. ``where`` begins the messages; ``labels`` are every job's."""

    def __init__(self, client: Client, *, where: str, labels: Mapping[str, str], patience: float = PATIENCE_S) -> None:
        self._client = client
        self._where = where
        self._labels = dict(labels)
        self._patience = patience
        self._spent: dict[str, float] = {}

    def bill(self) -> dict[str, float]:
        """What the jobs since the last bill cost: bytes processed, billed and loaded, queries run."""
        spent, self._spent = self._spent, {}
        return spent

    def rows(self, statement: str, **parameters: tuple[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a query. Parameters are (type, value); a list makes an array of the type."""
        return [tuple(row.values()) for row in self._run(statement, parameters)[1]]

    def change(self, statement: str, **parameters: tuple[str, Any]) -> int:
        """How many rows a statement changed."""
        return int(self._run(statement, parameters)[0].num_dml_affected_rows or 0)

    def load(self, file: IO[bytes], size: int, table: TableName, schema: Sequence[SchemaField]) -> None:
        """Append a file of JSON lines to a table, all of it or nothing."""
        from google.cloud.bigquery import LoadJobConfig

        config = LoadJobConfig(
            schema=schema,
            source_format="NEWLINE_DELIMITED_JSON",
            write_disposition="WRITE_APPEND",
            create_disposition="CREATE_NEVER",
            labels=self._labels,
        )
        with self._faults():
            job = self._client.load_table_from_file(
                file, str(table), size=size, rewind=True, job_config=config, timeout=ANSWER_S, num_retries=3
            )
            job.result(timeout=JOB_S, retry=self._retry)
        self._spend("bigquery_bytes_loaded", size)

    def table(self, name: TableName) -> Table | None:
        """The table as it is; None where it, or its dataset, is not there."""
        try:
            with self._faults():
                return self._client.get_table(str(name), retry=self._retry, timeout=ANSWER_S)
        except Missing:
            return None

    def dataset(self, name: TableName) -> Dataset | None:
        """The table's dataset as it is; None where it is not there."""
        try:
            with self._faults():
                return self._client.get_dataset(f"{name.project}.{name.dataset}", retry=self._retry, timeout=ANSWER_S)
        except Missing:
            return None

    def create_dataset(self, dataset: Dataset) -> None:
        """Create it, unless somebody else just did."""
        with self._faults():
            self._client.create_dataset(dataset, exists_ok=True, retry=self._retry, timeout=ANSWER_S)

    def create_table(self, table: Table) -> Table:
        """Create it, unless somebody else just did."""
        with self._faults():
            return self._client.create_table(table, exists_ok=True, retry=self._retry, timeout=ANSWER_S)

    def create_staging(self, name: TableName, schema: Sequence[SchemaField], expires: datetime) -> None:
        """Create an empty table that goes by itself at a time."""
        from google.cloud.bigquery import Table

        table = Table(str(name), schema=schema)
        table.expires = expires
        table.labels = self._labels
        self.create_table(table)

    def update(self, table: Table, members: Sequence[str]) -> Table:
        """Change these members of a table. Refused where somebody else changed it meanwhile."""
        with self._faults():
            return self._client.update_table(table, members, retry=self._retry, timeout=ANSWER_S)

    def drop(self, name: TableName) -> None:
        """Drop a table; one that is not there is well."""
        with self._faults():
            self._client.delete_table(str(name), not_found_ok=True, retry=self._retry, timeout=ANSWER_S)

    @property
    def _retry(self) -> Any:
        from google.cloud.bigquery import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._patience)

    def _run(self, statement: str, parameters: Mapping[str, tuple[str, Any]]) -> tuple[Any, Iterable[Any]]:
        from google.cloud.bigquery import ArrayQueryParameter, QueryJobConfig, ScalarQueryParameter

        config = QueryJobConfig(
            query_parameters=[
                (ArrayQueryParameter if isinstance(value, list) else ScalarQueryParameter)(name, kind, value)
                for name, (kind, value) in parameters.items()
            ],
            labels=self._labels,
        )
        with self._faults():
            job = self._client.query(
                statement,
                job_config=config,
                retry=self._retry,
                timeout=ANSWER_S,
                job_retry=None,  # any other begins jobs again for ten minutes, whatever it is told
            )
            found = list(job.result(timeout=JOB_S, retry=self._retry))
        self._spend("bigquery_queries", 1)
        self._spend("bigquery_bytes_processed", job.total_bytes_processed)
        self._spend("bigquery_bytes_billed", job.total_bytes_billed)
        return job, found

    def _spend(self, name: str, number: float | None) -> None:
        self._spent[name] = self._spent.get(name, 0) + (number or 0)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        from google.api_core import exceptions as api
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        busy = DestinationUnavailable(
            f"{self._where}: BigQuery does not answer, or is too busy, or the quota is used up; the rows follow at the "
            "next try"
        )
        try:
            yield
        except api.NotFound:
            raise Missing(f"{self._where}: the dataset or the table is not there") from None
        except api.GoogleAPICallError as error:
            reasons = {str(each.get("reason")) for each in error.errors if isinstance(each, dict)}
            if reasons & _QUOTA or isinstance(error, api.ServerError | api.TooManyRequests):
                raise busy from None
            if isinstance(error, api.Forbidden | api.Unauthorized):
                raise DestinationError(
                    f"{self._where}: BigQuery refuses the account ({error.code}): it needs the roles BigQuery Data "
                    "Editor on the dataset and BigQuery Job User on the project, and the API must be enabled there"
                ) from None
            told = ", ".join(sorted(reasons)) or type(error).__name__
            raise DestinationError(
                f"{self._where}: BigQuery refuses the job ({error.code}, {told}): compare the table with the "
                "declaration ('vcon-platform projections plan')"
            ) from None
        except GoogleAuthError as error:
            raise refused_login(error, self._where) from None
        except (api.RetryError, RequestException, concurrent.futures.TimeoutError, OSError):
            raise busy from None

"""Talking to Google's Sheets API: within its quotas, patiently, and with errors that people can use.

Belongs here: what every call to the API has in common. Not here: what is asked for (``tabs.py``).

The calls are gspread's; its own client that backs off counts for all threads of the process at once and repeats
everything. Here reads and writes are counted apart, as Google does (so many a minute for a user), and what is repeated
depends on the request: values are written to named cells, so writing them twice is writing them once, but rows that are
deleted or inserted twice are other rows. Such a request is repeated only when Google says that it did not take it up.

Google's messages may quote the cells they complain about, so none is passed on.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vcon_platform.projections.destinations.google_credentials import refused_login
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.store.retry_after import seconds_in

if TYPE_CHECKING:
    from gspread.http_client import HTTPClient
    from requests import Response, Session

GOOGLE = "https://sheets.googleapis.com"
TIMEOUT_S = (5.0, 180.0)
"""To connect, and to answer: Google itself gives up after 180 s."""
PATIENCE_S = 150.0
"""How long one call may be tried again, all in all. Quotas are counted by the minute."""
_BUSY = frozenset({429, 500, 502, 503, 504})
_FULL = "10000000 cells"


class TabsChanged(DestinationError):
    """A worksheet is not where it was: renamed, removed or shrunk meanwhile. Looking again tells where it is."""


class SheetsApi:
    """One spreadsheet's API. ``session`` carries the credentials; ``where`` begins the messages; ``per_minute`` is how
    many reads, and how many writes, are sent a minute at most. ``calls`` counts what was sent."""

    def __init__(
        self,
        session: Session,
        spreadsheet: str,
        *,
        where: str,
        per_minute: int = 50,
        endpoint: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._spreadsheet = spreadsheet
        self._where = where
        self._limits = {"read": _Limit(per_minute, clock, sleep), "write": _Limit(per_minute, clock, sleep)}
        self._clock, self._sleep = clock, sleep
        self.calls = 0
        self._client = self._open(session, endpoint.rstrip("/"))

    def about(self) -> Mapping[str, Any]:
        """The worksheets: properties and developer metadata, no cells."""
        fields = (
            "sheets(properties(sheetId,title,gridProperties(rowCount,columnCount,frozenRowCount)),"
            "developerMetadata(metadataId,metadataKey,metadataValue))"
        )
        told: Mapping[str, Any] = self._try(
            "read", lambda: self._client.fetch_sheet_metadata(self._spreadsheet, {"fields": fields})
        )
        return told

    def read(self, ranges: Sequence[str], *, by_columns: bool = False) -> list[list[list[Any]]]:
        """The values of these ranges as they are stored, all in one call; what is empty at an end is left out."""
        if not ranges:
            return []
        told = self._try(
            "read",
            lambda: self._client.values_batch_get(
                self._spreadsheet,
                list(ranges),
                {
                    "majorDimension": "COLUMNS" if by_columns else "ROWS",
                    "valueRenderOption": "UNFORMATTED_VALUE",
                    "dateTimeRenderOption": "SERIAL_NUMBER",
                },
            ),
        )
        return [each.get("values", []) for each in told["valueRanges"]]

    def write(self, ranges: Sequence[tuple[str, list[list[Any]]]]) -> None:
        """Put values into cells as they are: text stays text, also when it begins with "=". All of them, or none."""
        data = [{"range": place, "majorDimension": "ROWS", "values": values} for place, values in ranges]
        self._try(
            "write",
            lambda: self._client.values_batch_update(self._spreadsheet, {"valueInputOption": "RAW", "data": data}),
        )

    def change(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Change worksheets, rows, columns, formats: all of it, or nothing."""
        self._try(
            "write",
            lambda: self._client.batch_update(self._spreadsheet, {"requests": list(requests)}),
            repeatable=False,
        )

    def _open(self, session: Session, instead: str) -> HTTPClient:
        from gspread.http_client import HTTPClient

        class Client(HTTPClient):
            def request(client, method: str, endpoint: str, *args: Any, **options: Any) -> Response:  # noqa: N805
                self.calls += 1
                if instead and endpoint.startswith(GOOGLE):
                    endpoint = instead + endpoint.removeprefix(GOOGLE)
                return super().request(method, endpoint, *args, **options)

        client = Client(None, session)  # type: ignore[arg-type]  # with a session, the credentials are not looked at
        client.set_timeout(TIMEOUT_S)
        return client

    def _try(self, limit: str, call: Callable[[], Any], *, repeatable: bool = True) -> Any:
        from google.auth.exceptions import GoogleAuthError
        from gspread.exceptions import APIError
        from requests.exceptions import RequestException

        end = self._clock() + PATIENCE_S
        wait = 1.0
        while True:
            asked = 0.0
            self._limits[limit].pass_through()
            try:
                return call()
            except APIError as error:
                status = error.response.status_code
                if status not in _BUSY or not (repeatable or status == 429):
                    raise self._fault(status, str(error.error.get("message", ""))) from None
                asked = seconds_in(error.response.headers) or 0.0
                told = DestinationUnavailable(
                    f"{self._where}: Google Sheets is too busy ({status}), the quota may be used up; "
                    "the rows follow at the next try"
                )
            except GoogleAuthError as error:
                raise refused_login(error, self._where) from None
            except (RequestException, ValueError) as error:  # ValueError: an answer that is no JSON
                told = DestinationUnavailable(
                    f"{self._where}: Google Sheets cannot be reached or does not answer ({type(error).__name__}); "
                    "the rows follow at the next try"
                )
                if not repeatable or _nobody_there(error):
                    raise told from None
            pause = max(asked, wait * random.uniform(0.75, 1.25))  # noqa: S311 - so that many do not come back at once
            if self._clock() + pause > end:
                raise told
            self._sleep(pause)
            wait = min(wait * 2, 32.0)

    def _fault(self, status: int, message: str) -> DestinationError:
        where = f"{self._where}: spreadsheet {self._spreadsheet}"
        if status in _BUSY:
            return DestinationUnavailable(f"{self._where}: Google Sheets failed ({status}); the next try looks anew")
        if status == 404:
            return DestinationError(f"{where} is not there, or not shared with the account of the credentials")
        if status in (401, 403):
            return DestinationError(
                f"{where}: Google Sheets refuses the account ({status}): share the spreadsheet with it as an editor "
                "(a service account's address stands in its key as client_email), and let the Sheets API be enabled "
                "in its project"
            )
        if _FULL in message.replace(",", ""):
            return spreadsheet_full(where)
        if "Unable to parse range" in message or "exceeds grid limits" in message or "No grid with id" in message:
            return TabsChanged(f"{where}: its worksheets were changed meanwhile; the next try looks anew")
        return DestinationError(
            f"{where}: Google Sheets refuses the change ({status}): are cells of the worksheet protected?"
        )


def spreadsheet_full(where: str) -> DestinationError:
    """The error of a spreadsheet that can take no more cells."""
    return DestinationError(
        f"{where} would have more than 10,000,000 cells, which is Google's limit: delete unused worksheets, rows and "
        "columns of it, or give the projection a spreadsheet of its own or fewer columns"
    )


def _nobody_there(error: Exception) -> bool:
    """Whether nothing listens: waiting is the sensor's affair then, which comes back by itself."""
    from requests.exceptions import ConnectionError as NotConnected
    from requests.exceptions import ConnectTimeout
    from urllib3.exceptions import NewConnectionError

    cause = getattr(error.args[0], "reason", None) if isinstance(error, NotConnected) and error.args else None
    return isinstance(error, ConnectTimeout) or isinstance(cause, NewConnectionError)


class _Limit:
    """So many passes in any minute; who comes too soon waits."""

    def __init__(self, per_minute: int, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._passes: deque[float] = deque(maxlen=per_minute)
        self._clock, self._sleep = clock, sleep

    def pass_through(self) -> None:
        if len(self._passes) == self._passes.maxlen:
            pause = self._passes[0] + 60.0 - self._clock()
            if pause > 0:
                self._sleep(pause)
        self._passes.append(self._clock())

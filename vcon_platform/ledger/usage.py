"""What services were used, from the ledger's ``used`` events: the view ``ledger.usage`` for whoever asks Postgres, and
the sums for command line and API.

Belongs here: the view's columns, and the question. Not here: the table (``schema.py``), budgets, which look at accounts
in Redis (``pipelines/purchases.py``): the ledger is some seconds behind, and may be away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.schema import lock

By = Literal["pipeline", "processor", "service", "model", "run", "day", "month"]
BY: tuple[By, ...] = get_args(By)

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("at", "at", "When the call ended"),
    ("vcon_uuid", "vcon_uuid", "The conversation it was bought for"),
    ("pipeline", "pipeline", "The pipeline that bought it"),
    ("pipeline_version", "pipeline_version", "That pipeline's version"),
    ("processor", "processor", "The processor that bought it"),
    ("processor_version", "processor_version", "That processor's version"),
    ("service", "coalesce(detail->>'service', '')", "Whose service: openai, deepgram, local ..."),
    ("model", "coalesce(detail->>'model', '')", "The model that was used"),
    ("seconds", "coalesce((detail->>'seconds')::double precision, 0)", "Seconds of audio"),
    ("input_tokens", "coalesce((detail->>'input_tokens')::bigint, 0)", "Tokens that went in"),
    ("output_tokens", "coalesce((detail->>'output_tokens')::bigint, 0)", "Tokens that came out"),
    ("price", "(detail->>'price')::numeric", "What it cost by the prices of that day; null: there was none"),
    ("currency", "nullif(detail->>'currency', '')", "The currency of the price, as the price file names it"),
    ("job", "detail->>'job'", "The job it was bought for"),
    ("run_id", "run_id", "The Dagster run, direct run or simulation that bought it"),
    ("event_id", "event_id", "The event in ledger.events"),
)
_SELECT = f"""SELECT {", ".join(f"{source} AS {name}" for name, source, _ in _COLUMNS)}
FROM ledger.events WHERE event = 'used'"""  # noqa: S608 - made of this module's own words
# Few events are of this kind: an index of theirs alone is small, whatever else the ledger holds.
_VIEW = (
    "CREATE INDEX IF NOT EXISTS events_used ON ledger.events (at) WHERE event = 'used'",
    f"CREATE OR REPLACE VIEW ledger.usage AS {_SELECT}",
    *(f"COMMENT ON COLUMN ledger.usage.{name} IS $${comment}$$" for name, _, comment in _COLUMNS),
    "COMMENT ON VIEW ledger.usage IS 'Each call of a service that costs money or minutes'",
)
_NOT_ALLOWED = "42501"
_COMPLETE = """
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'ledger' AND c.relname = 'usage' AND c.relkind = 'v'
"""
_GROUPS: Mapping[By, str] = {
    "pipeline": "coalesce(pipeline, '')",
    "processor": "coalesce(processor, '')",
    "service": "service",
    "model": "concat(service, '/', model)",
    "run": "coalesce(run_id, '')",
    "day": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "month": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM')",
}


class SinceRefused(PlatformError):
    """A text that is no moment."""


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What was used by one of a kind. ``prices``: currency to the sum of what has a price (the currency is empty where
    the prices name none); ``unpriced``: how many calls have none."""

    name: str
    calls: int
    conversations: int
    seconds: float
    input_tokens: int
    output_tokens: int
    prices: Mapping[str, Decimal]
    unpriced: int


def ensure_view(connection: Connection) -> None:
    """Create the view unless it is there; processes that do this at once wait for each other. A role that may not is no
    fault: the view is for others, the sums do not need it."""
    if _is_there(connection):
        return
    lock(connection)
    if _is_there(connection):
        return
    try:
        with connection.begin_nested():
            for statement in _VIEW:
                connection.execute(text(statement))
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _NOT_ALLOWED:
            raise


def _is_there(connection: Connection) -> bool:
    return connection.execute(text(_COMPLETE)).first() is not None


def sums(connection: Connection, by: By, since: datetime | None, until: datetime | None) -> list[UsageSum]:
    """What was used from ``since`` on and before ``until``, dearest first; days and months in their order."""
    where = "".join(f" AND at {sign} :{name}" for name, sign, at in _bounds(since, until) if at is not None)
    order = "name" if by in ("day", "month") else "sum(price) DESC NULLS LAST, calls DESC, name"
    found = connection.execute(
        text(
            f"""
            WITH used AS (SELECT {_GROUPS[by]} AS name, * FROM ({_SELECT}{where}) AS each),
            prices AS (
              SELECT name, jsonb_object_agg(currency, total) AS prices FROM (
                SELECT name, coalesce(currency, '') AS currency, sum(price)::text AS total
                FROM used WHERE price IS NOT NULL GROUP BY 1, 2
              ) AS each GROUP BY name
            )
            SELECT name, count(*) AS calls, count(DISTINCT vcon_uuid) AS conversations,
              coalesce(sum(seconds), 0) AS seconds, coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
              coalesce(sum(output_tokens), 0)::bigint AS output_tokens, prices.prices,
              count(*) FILTER (WHERE price IS NULL) AS unpriced
            FROM used LEFT JOIN prices USING (name) GROUP BY name, prices.prices ORDER BY {order}
            """  # noqa: S608 - made of this module's own words
        ),
        {name: at for name, _, at in _bounds(since, until) if at is not None},
    )
    return [
        UsageSum(**{**row, "prices": {currency: Decimal(sum_) for currency, sum_ in (row["prices"] or {}).items()}})
        for row in found.mappings()
    ]


def _bounds(since: datetime | None, until: datetime | None) -> tuple[tuple[str, str, datetime | None], ...]:
    return (("since", ">=", since), ("until", "<", until))


def moment(given: str, now: datetime) -> datetime:
    """A moment as people type it: ``2026-07-01``, an RFC 3339 time, or ``12h``, ``7d``, ``4w`` ago. In UTC unless it
    says otherwise. Raises :class:`SinceRefused`."""
    units = {"h": 3600, "d": 86400, "w": 7 * 86400}
    try:
        if given[-1:] in units and given[:-1].isascii() and given[:-1].isdigit():
            return now - timedelta(seconds=int(given[:-1]) * units[given[-1]])
        found = datetime.fromisoformat(given)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found
    except (ValueError, OverflowError):
        raise SinceRefused(
            f"{given[:40]!r} is no time: write a date (2026-07-01), a time (2026-07-01T12:00:00Z), or how long ago "
            "(12h, 7d, 4w)"
        ) from None

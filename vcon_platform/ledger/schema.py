"""The ledger's table in Postgres: columns, indexes, and the trigger that keeps it append-only.

Belongs here: the shape, and its creation. Not here: events going in and out (``store.py``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID
from sqlalchemy.schema import SetColumnComment, SetTableComment

SCHEMA = "ledger"

EVENTS = Table(
    "events",
    MetaData(),
    Column("id", BigInteger, primary_key=True, comment="Order in which events arrived; gaps mean nothing"),
    Column("event_id", UUID(as_uuid=False), comment="Given where the event was made; shipping twice stores it once"),
    Column("at", TIMESTAMP(timezone=True), comment="When it happened"),
    Column("vcon_uuid", UUID(as_uuid=False), comment="The conversation"),
    Column("event", Text, comment="What happened: created, processed, filtered, failed, done, projected ..."),
    Column("revision", BigInteger, comment="The vCon's revision after the event"),
    Column("pipeline", Text, comment="The pipeline it happened in, or the projection's"),
    Column("pipeline_version", Text, comment="That pipeline's version"),
    Column("processor", Text, comment="The processor that did it"),
    Column("processor_version", Text, comment="That processor's version"),
    Column("options_hash", Text, comment="Hash of the options it ran with"),
    Column("batch_id", Text, comment="The batch (leased jobs) it belonged to"),
    Column("run_id", Text, comment="The Dagster run"),
    Column("detail", JSONB, comment="What else there is to say: reasons, counts, hashes. No personal data"),
    schema=SCHEMA,
    comment="What happened to each vCon. Append-only: changes are refused by trigger. No personal data",
)

_COMPLETE = """
SELECT 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'ledger' AND c.relname = 'events' AND t.tgname = 'append_only'
"""

_TABLE = """
CREATE TABLE ledger.events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  at timestamptz NOT NULL,
  vcon_uuid uuid NOT NULL,
  event text NOT NULL,
  revision bigint,
  pipeline text,
  pipeline_version text,
  processor text,
  processor_version text,
  options_hash text,
  batch_id text,
  run_id text,
  detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX ON ledger.events (vcon_uuid, id);
CREATE INDEX ON ledger.events (pipeline, at);
CREATE INDEX ON ledger.events (run_id);
CREATE OR REPLACE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: % of ledger.events is refused', TG_OP;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
"""


def is_complete(connection: Connection) -> bool:
    """True if the table is there. The trigger is made last, in one transaction with everything else."""
    return connection.execute(text(_COMPLETE)).first() is not None


def lock(connection: Connection) -> None:
    """Let nobody else create anything of the ledger until this transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('vcon-platform:ledger', 0))"))


def create(connection: Connection) -> None:
    """Create schema and table unless they are there. Processes that do this at once wait for each other."""
    lock(connection)
    if is_complete(connection):
        return
    # Asked first: IF NOT EXISTS wants the right to create a schema even when there is nothing to create.
    if connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = 'ledger'")).first() is None:
        connection.execute(text("CREATE SCHEMA ledger"))
    connection.execute(text(_TABLE))
    for column in EVENTS.columns:
        connection.execute(SetColumnComment(column))
    connection.execute(SetTableComment(EVENTS))

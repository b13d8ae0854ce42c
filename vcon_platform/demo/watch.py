"""What became of the sample calls: looks at the store, the tables and the dead queue until all of it is there.

Belongs here: the questions and the judgement whether the answers are right. Not here: words for the terminal
(``commands/demo.py``) and the calls themselves (``samples.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from vcon_platform.demo.samples import Sample
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.jobs import DeadJob
from vcon_platform.store.leases import Queues

PIPELINE = "recall"
_ENDING = {"recall": "done", "filtered": "filtered", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One look at everything. Rows are dicts by column."""

    captured: int
    waiting: int
    calls: list[dict[str, Any]]
    recalls: list[dict[str, Any]]
    dead: list[DeadJob]


class Watcher:
    """Looks at what became of ``samples``."""

    def __init__(self, samples: Sequence[Sample], documents: DocumentStore, queues: Queues, engine: Engine) -> None:
        self._samples = {sample.vcon_uuid(): sample for sample in samples}
        self._documents = documents
        self._queues = queues
        self._engine = engine

    def look(self) -> Picture:
        """How things stand now."""
        return Picture(
            captured=len(self._documents.known(list(self._samples))),
            waiting=self._queues.depth(PIPELINE),
            calls=self._rows("calls"),
            recalls=self._rows("recalls"),
            dead=[dead for dead in self._queues.dead(PIPELINE) if dead.job.vcon_uuids[0] in self._samples],
        )

    def _rows(self, table: str) -> list[dict[str, Any]]:
        # The tables' names are this module's own; what is bound is the uuids.
        statement = text(f'SELECT * FROM "{table}" WHERE uuid = ANY(:uuids) ORDER BY created_at')  # noqa: S608
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(statement, {"uuids": list(self._samples)}).mappings()]
        except ProgrammingError:  # nothing has landed yet, so there is no table
            return []

    def faults(self, picture: Picture) -> list[str]:
        """What is not (or not yet) as it should be: empty when every row is the right one."""
        verdicts = {row["uuid"]: row["verdict"] for row in picture.calls}
        recalls = {row["uuid"] for row in picture.recalls}
        faults = []
        for uuid, sample in self._samples.items():
            # A call that was repaired since an earlier demo is right as well.
            right = {sample.verdict, sample.repaired_verdict} - {None}
            verdict = verdicts.get(uuid)
            if verdict not in {_ENDING[each] for each in right if each}:
                faults.append(
                    f"call {sample.name}: verdict {verdict or 'not there yet'}, not {_ENDING[sample.verdict]}"
                )
            elif (uuid in recalls) != (verdict == "done"):
                faults.append(f"call {sample.name}: verdict {verdict}, but its row in recalls says otherwise")
        return faults

    def name(self, uuid: str) -> str:
        """The sample's name."""
        return self._samples[uuid].name

"""Rows built per second for each shipped projection, on one core: build (document and outcome to values), and fit
(values to what a destination takes).

    python -m benchmarks.rows [--conversations 500] [--turns 40] [--rounds 3]

The conversation: two parties, one recording, a transcript of 40 turns with word times, a summary, a scorecard of six
criteria, three tags. Each projection is timed alone; the best round counts, in seconds of the processor, jq's child
excluded, and in seconds of the clock, jq's child included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from vcon_platform.jq_child import shared_child
from vcon_platform.projections.catalogue import load_projections
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import build_rows
from vcon_platform.projections.values import fit
from vcon_platform.settings import project_root
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

OUTCOME = Outcome("recall", "ab12", "done")


def conversation(turns: int) -> Vcon:
    """One conversation as a contact centre's pipeline leaves it."""
    words = ["that", "is", "about", "the", "recall", "of", "the", "toaster", "which", "I", "have", "bought", "here"]
    said = [
        {
            "speaker": number % 2,
            "start": number * 5.0,
            "end": number * 5.0 + 4.5,
            "text": " ".join(words),
            "words": [{"word": word, "start": number * 5.0 + at / 4} for at, word in enumerate(words)],
        }
        for number in range(turns)
    ]
    criteria = [
        {"key": f"criterion_{number}", "question": "Was it good?", "score": 2, "most": 2, "weight": 1, "reason": "yes"}
        for number in range(6)
    ]
    return Vcon(
        {
            "vcon": "0.4.0",
            "uuid": new_uuid(),
            "created_at": "2026-03-01T09:00:00Z",
            "parties": [
                {"name": "Ada Kunde", "tel": "+4930123456", "role": "customer"},
                {"name": "Ben Beispiel", "tel": "+49301000", "role": "agent"},
            ],
            "dialog": [
                {"type": "recording", "start": "2026-03-01T09:00:05Z", "duration": turns * 5, "parties": [0, 1]}
            ],
            "analysis": [
                {"type": "transcript", "dialog": 0, "vendor": "x", "encoding": "json", "body": {"segments": said}},
                {"type": "summary", "dialog": 0, "vendor": "x", "encoding": "none", "body": "About the recall. " * 10},
                {
                    "type": "scorecard",
                    "dialog": 0,
                    "vendor": "x",
                    "encoding": "json",
                    "body": {"total": 100, "passed": True, "criteria": criteria},
                },
            ],
            "attachments": [
                {"purpose": "adapter", "encoding": "json", "body": {"adapter": "freeswitch", "direction": "inbound"}},
                {"purpose": "tags", "encoding": "json", "body": ["team:north", "mood:calm", "vip:yes"]},
            ],
        }
    )


def timed(work: Callable[[], Any], rounds: int) -> tuple[float, float, Any]:
    """The best round's seconds of the processor and of the clock, and what it gave."""
    best, clock, given = float("inf"), float("inf"), None
    for _ in range(rounds):
        processor, began = time.process_time(), time.perf_counter()
        given = work()
        best = min(best, time.process_time() - processor)
        clock = min(clock, time.perf_counter() - began)
    return best, clock, given


def main() -> None:
    """Print a line for each projection."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--conversations", type=int, default=500)
    arguments.add_argument("--turns", type=int, default=40)
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    vcons = [conversation(given.turns) for _ in range(given.conversations)]
    shipped = load_projections(project_root() / "pipelines" / "projections")
    shared_child().first(["."], None)  # started before anything is timed
    print("projection    rows each   conversations/s   rows/s   rows/s by the clock   fitted rows/s")
    for declared in shipped.values():
        print(measured(declared, vcons, given.rounds))


def measured(declared: Projection, vcons: Sequence[Vcon], rounds: int) -> str:
    """The line of one projection."""
    processor, clock, sets = timed(lambda: [build_rows(declared, vcon, OUTCOME) for vcon in vcons], rounds)
    rows = sum(len(each.rows) for each in sets)
    fitting, _, (landed, rejected) = timed(lambda: fitted(declared, sets, fit), rounds)
    if len(landed) != rows:
        raise SystemExit(f"{declared.name}: {len(rejected)} rows do not fit")
    return (
        f"{declared.name:13} {rows / len(vcons):9.0f} {len(vcons) / processor:17,.0f} {rows / processor:8,.0f} "
        f"{rows / clock:21,.0f} {rows / fitting:15,.0f}"
    )


if __name__ == "__main__":
    main()

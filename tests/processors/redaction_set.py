"""The labelled set (tests/data/redaction) and how a detector is scored on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vcon_platform.processors.personal_data import find
from vcon_platform.processors.personal_data_labels import Label, Line, Span

DATA = Path(__file__).parents[1] / "data" / "redaction"


@dataclass(frozen=True)
class Item:
    """One conversation. ``marks``: per line, (begin, end, label) of what must be masked."""

    part: str
    kind: str
    lines: Sequence[Line]
    marks: Sequence[Sequence[tuple[int, int, Label]]]


@dataclass
class Score:
    """``whole``: marks of which every letter and digit was masked; ``letters``: letters and digits in marks, ``masked``
    of them masked; ``labelled``: marks that were touched by a finding of their own label."""

    marks: int = 0
    whole: int = 0
    letters: int = 0
    masked: int = 0
    labelled: int = 0


def items() -> Iterator[Item]:
    """All of them, in order: spoken ones (development, held out, blind), then written ones."""
    for file in ("spoken.jsonl", "written.jsonl"):
        for row in (DATA / file).read_text(encoding="utf-8").splitlines():
            item = json.loads(row)
            yield Item(
                "written" if file == "written.jsonl" else item["set"],
                item["kind"],
                [Line(line["text"], line["who"]) for line in item["lines"]],
                [[(begin, end, label) for begin, end, label in line["marks"]] for line in item["lines"]],
            )


def clean_lines() -> list[str]:
    """What people say in calls that is nobody's: prices, times, counts."""
    return (DATA / "clean.txt").read_text(encoding="utf-8").splitlines()


def scores(chosen: Iterable[Item]) -> tuple[dict[tuple[str, str], Score], dict[str, tuple[int, int]]]:
    """Scores by (part, label), and by part how many letters were masked in all, and how many of them in no mark."""
    found: dict[tuple[str, str], Score] = {}
    beyond: dict[str, tuple[int, int]] = {}
    for item in chosen:
        for line, marks, spans in zip(item.lines, item.marks, find(item.lines), strict=True):
            covered = letters(line.text, spans)
            wanted: set[int] = set()
            for begin, end, label in marks:
                mark = {place for place in range(begin, end) if line.text[place].isalnum()}
                wanted |= mark
                score = found.setdefault((item.part, label), Score())
                score.marks += 1
                score.whole += mark <= covered
                score.letters += len(mark)
                score.masked += len(mark & covered)
                score.labelled += any(s.label == label and s.start < end and begin < s.end for s in spans)
            total, outside = beyond.get(item.part, (0, 0))
            beyond[item.part] = total + len(covered), outside + len(covered - wanted)
    return found, beyond


def letters(text: str, spans: Sequence[Span]) -> set[int]:
    """Places of the letters and digits within the findings."""
    return {place for span in spans for place in range(span.start, span.end) if text[place].isalnum()}

"""Measures what redaction finds and misses on the labelled set, and what it costs.

python benchmarks/redaction.py [--misses]

Prints recall by kind and part of the set, what was masked beyond the marks, harmless lines that were touched, seconds
per turn and peak memory. ``--misses`` prints what was missed (the set is made up: no personal data).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.processors.redaction_set import Item, clean_lines, items, letters, scores
from vcon_platform.processors.personal_data import find
from vcon_platform.processors.personal_data_labels import Line, masked


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--misses", action="store_true", help="print what was missed")
    show = parser.parse_args().misses
    began = time.monotonic()
    find([Line("hello")])
    print(f"loaded in {time.monotonic() - began:.1f} s")
    chosen = list(items())
    began = time.monotonic()
    found, beyond = scores(chosen)
    turns = sum(len(item.lines) for item in chosen)
    print(f"{len(chosen)} conversations, {turns} turns, {(time.monotonic() - began) / turns * 1000:.1f} ms per turn")
    print("| part | kind | marks | masked whole | letters masked | named right |\n|---|---|---|---|---|---|")
    for (part, label), score in sorted(found.items()):
        print(
            f"| {part} | {label} | {score.marks} | {score.whole / score.marks:.1%} | "
            f"{score.masked / score.letters:.1%} | {score.labelled / score.marks:.0%} |"
        )
    for part, (total, outside) in beyond.items():
        print(f"{part}: {outside / total:.1%} of {total} masked letters stand in no mark")
    clean = clean_lines()
    touched = [(line, spans) for line in clean if (spans := find([Line(line)])[0])]
    print(f"harmless lines touched: {len(touched)} of {len(clean)}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    if show:
        _print_misses(chosen)
        print(*(f"TOUCHED {masked(line, spans, '[{label}]')}" for line, spans in touched), sep="\n")


def _print_misses(chosen: list[Item]) -> None:
    for item in chosen:
        for line, marks, spans in zip(item.lines, item.marks, find(item.lines), strict=True):
            covered = letters(line.text, spans)
            for begin, end, label in marks:
                if any(line.text[place].isalnum() and place not in covered for place in range(begin, end)):
                    print(f"MISSED {item.part}, {label}: {line.text[begin:end]!r} in {line.text!r}")


if __name__ == "__main__":
    main()

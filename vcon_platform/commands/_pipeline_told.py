"""What ``pipelines run``, ``simulate`` and ``processors run`` print for people.

Belongs here: words and colours. Not here: verbs, options and exit codes (``_pipeline_runs.py``).
"""

from __future__ import annotations

import json as json_text
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from vcon_platform.commands._shown import shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vcon_platform.pipelines.direct import DirectResult
    from vcon_platform.pipelines.simulate import DocumentEdits, SimulatedStep, Simulation

_STYLES = {
    "processed": "green",
    "skipped": "yellow",
    "filtered": "yellow",
    "failed": "bold red",
    "not_bought": "magenta",
    "not_run": "magenta",
    "not_reached": "dim",
}

_LONGEST = 600
"""Characters of a change that are shown: a transcript with a time for each word has tens of thousands."""


def print_simulation(told: Simulation, *, buy: bool) -> None:
    """Step by step what a simulation found."""
    console = Console(highlight=False)
    money = "steps that cost are bought (--buy)" if buy else "nothing is bought"
    console.print(Text(f"{told.pipeline}@{told.version} on vCon {told.uuid}", style="bold"))
    console.print(Text(f"A simulation: nothing is saved, queued or sent; {money}.\n", style="dim"))
    for number, step in enumerate(told.steps, 1):
        _print_step(console, number, step)
    if told.rows:
        console.print(Text("at the end: rows that follow from the outcome", style="bold"))
        _print_documents(console, told.rows)
        console.print()
    _print_verdict(console, "would be ", told.verdict.ending, told.verdict.reason, told.verdict.processor)
    unknown = [step.name for step in told.steps if step.what in ("not_bought", "not_run")]
    if unknown:
        console.print(
            Text(f"Not simulated: {', '.join(unknown)}. Later steps saw the vCon without what these would have added.")
        )
    if any(step.what == "not_bought" for step in told.steps):
        console.print(Text("To buy what costs, once: the same with --buy."))


def _print_step(console: Console, number: int, step: SimulatedStep) -> None:
    line = Text(f"{number}. {step.name} ", style="bold")
    line.append(step.what.replace("_", " "), style=_STYLES.get(step.what, ""))
    if step.what not in ("not_reached", "not_run"):
        line.append(f"  {1000 * step.seconds:,.1f} ms", style="dim")
    for count, what in ((step.from_cache, "from the cache"), (step.bought, "bought")):
        if count:
            line.append(f"  {count} result{'s' if count > 1 else ''} {what}", style="magenta")
    console.print(line)
    if step.reason:
        console.print(_indented(shown(step.reason)))
    _print_documents(console, step.documents)
    for edit in step.parameters:
        _print_lines(console, [f"{each[0]} parameter {each[2:]}" for each in edit.lines()])
    for job in step.queued:
        details = "".join(
            f", {each}"
            for each in (
                f"priority {job.priority}" if job.priority != "normal" else "",
                f"in {job.delay:g} s" if job.delay else "",
            )
            if each
        )
        console.print(_indented(Text(visible(f"> queue {job.queue}: {', '.join(job.vcon_uuids)}{details}"), "cyan")))
    for effect in step.effects:
        console.print(_indented(Text(visible(f"> send {effect.summary}"), "cyan")))
        for name, value in effect.body.items():
            if value in ("", None, [], {}):
                continue
            text = value if isinstance(value, str) else json_text.dumps(value, ensure_ascii=False)
            for line_number, each in enumerate(text.splitlines() or [""]):
                label = f"{name}: " if not line_number else " " * (len(name) + 2)
                console.print(_indented(Text(visible(f"{label}{each}")), 5))
    console.print()


def _print_documents(console: Console, documents: Iterable[DocumentEdits]) -> None:
    for document in documents:
        if document.added:
            console.print(_indented(Text(f"a new vCon {document.uuid}", "cyan")))
        if document.form:
            console.print(_indented(Text(f"from here on the vCon is {document.form}", "cyan")))
        for edit in document.edits:
            _print_lines(console, edit.lines())


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        text = visible(line)
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}… ({len(text):,} characters; --json shows more)"
        console.print(_indented(Text(text, "green" if line.startswith("+") else "red")))


def _indented(text: Text, by: int = 3) -> Padding:
    """Also where it goes on in further lines."""
    return Padding(text, (0, 0, 0, by), expand=False)


def _print_verdict(console: Console, auxiliary: str, ending: str, reason: str, processor: str | None) -> None:
    by = f" by {processor}" if processor else ""
    text = Text(f"The conversation {auxiliary}")
    text.append(f"{ending}{by}", style="bold red" if ending == "failed" else "bold")
    text.append(visible(f": {reason}" if reason else "."))
    console.print(text)


def print_run(result: DirectResult) -> None:
    """What became of a direct run."""
    console = Console(highlight=False)
    console.print(Text(f"{result.pipeline}@{result.version} on vCon {result.uuid}", style="bold"))
    for step in result.steps:
        line = Text(f"  {step.name} ")
        line.append(step.what, style=_STYLES.get(step.what, ""))
        if step.reason:
            line.append(visible(f": {step.reason}"))
        console.print(line)
    _print_verdict(console, "is ", result.verdict.ending, result.verdict.reason, result.verdict.processor)
    changed = sum(result.modified)
    if result.saved:
        console.print(Text(f"{changed} vCon{'s' if changed != 1 else ''} saved." if changed else "Nothing changed."))
    elif changed:
        console.print(Text("What was changed is not saved; --save keeps it, --json shows it."))
    for job in result.queued:
        console.print(Text(visible(f"Queued in {job.queue}: {', '.join(job.vcon_uuids)}")))
    if result.effects:
        console.print(Text(f"{result.effects} thing{'s' if result.effects > 1 else ''} to be sent: see the ledger."))
    if result.parameters:
        _print_parameters(console, result.parameters)


def _print_parameters(console: Console, parameters: Mapping[str, Any]) -> None:
    from vcon_platform.pipelines.document_diff import shortened

    console.print(Text("Parameters:", style="bold"))
    for name, value in parameters.items():
        console.print(Text(visible(f"  {name} = {json_text.dumps(shortened(value), ensure_ascii=False)}")))

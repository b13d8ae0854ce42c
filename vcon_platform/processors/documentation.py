"""The pages of the documentation that are made from the processors themselves.

Belongs here: ``docs/processor-reference.md`` (what each one declares) and ``docs/comparison.md`` (what the processors
of py_vcon_server and the links of the conserver are here), as Markdown. Not here: what a processor is good for, which
its family's page says, by hand. Both pages are kept with the source; a test fails when they are not what this module
makes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill
from typing import Any

from vcon_platform.processors.conserver_links import counterparts
from vcon_platform.processors.counterparts_py_vcon import PY_VCON
from vcon_platform.processors.describe import describe
from vcon_platform.processors.registry import Registry

REFERENCE, COMPARISON = "processor-reference.md", "comparison.md"

_LONGEST = 100
"""Characters of a default that are shown."""
_COMMON = 3
"""Links that must share a difference for it to be told once for all of them."""
_MADE = "<!-- Made by `vcon-platform processors docs`; what is written here by hand is lost. -->"
_HEADING = re.compile(r"^#{2,3} `?([a-z][a-z0-9_]*)`?$", re.MULTILINE)


def generated(registry: Registry, folder: Path) -> dict[str, str]:
    """Each page by its name. ``folder``: the documentation, of which the pages by hand are linked to."""
    return {REFERENCE: reference(registry, pages(folder)), COMPARISON: comparison()}


def pages(folder: Path) -> dict[str, str]:
    """Each processor that has a section of its own on a family's page, and the link to it."""
    found: dict[str, str] = {}
    for page in sorted(folder.glob("processors*.md")):
        for name in _HEADING.findall(page.read_text(encoding="utf-8")):
            found.setdefault(name, f"{page.name}#{name}")
    return found


def reference(registry: Registry, pages: Mapping[str, str]) -> str:
    """Every processor of the platform's own: what it does, its effects, its options."""
    told = [describe(cls) for cls in registry if cls.__module__.startswith("vcon_platform.")]
    common = [option for option in told[0]["options"] if option["common"]] if told else []
    parts = [
        "# Processor reference",
        _MADE,
        _paragraph(
            """What each processor declares of itself; `vcon-platform processors show NAME` and `GET
            /v1/processors/NAME` say the same, of your own plugins too. What they are good for: [the
            processors](processors.md)."""
        ),
        _paragraph(
            """*costs*: takes money or minutes, so that its results are kept and never bought twice. *network*: waits
            for others, so that many conversations are worked on at once. *may drop*: can end a conversation's way.
            *changes*: adds to the vCon, replaces parts of it, or adds another one. *sends*: asks for something outside,
            which is done once. *needs consent*: the purpose that parties must have consented to where a pipeline
            enforces consent. A *pool* is the name by which `VCON_POOLS` limits the calls at once of all machines."""
        ),
        _paragraph(" · ".join(f"[{each['name']}](#{each['name']})" for each in told)),
        "## Options of every processor",
        _options(common),
        *(_section(each, pages.get(each["name"])) for each in told),
    ]
    return "\n\n".join(parts) + "\n"


def _section(about: Mapping[str, Any], page: str | None) -> str:
    facts = [f"version {about['version']}", f"effects: {', '.join(about['effects_in_words']) or 'none'}"]
    if about["pool"]:
        facts.append(f"pool: `{about['pool']}`")
    if page:
        facts.append(f"[more]({page})")
    own = [option for option in about["options"] if not option["common"]]
    title, description = _cell(about["title"]), _cell(about["description"])
    options = _options(own) if own else "It has no options of its own."
    return "\n\n".join(
        [f"## {about['name']}", _paragraph(f"**{title}.** {description}"), _paragraph(" · ".join(facts)), options]
    )


def _options(options: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        f"| `{option['name']}` | {_cell(option['type'])} | {_default(option)} | {_cell(option['description'])} |"
        for option in options
    ]
    return "\n".join(["| option | type | default | meaning |", "|---|---|---|---|", *rows])


def _default(option: Mapping[str, Any]) -> str:
    if option["required"]:
        return "required"
    value = option["default"]
    if value is None:
        return "unset"
    text = " ".join(json.dumps(value, ensure_ascii=False).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} …"
    fence = "``" if "`" in text else "`"
    return f"{fence}{_cell(text, escape=False)}{fence}"


def comparison() -> str:
    """Every processor of py_vcon_server and every link of the conserver, with what it is here."""
    links = counterparts()
    notes = _shared(each.differences for each in links.values())
    parts = [
        "# Compared with py_vcon_server and the conserver",
        _MADE,
        _paragraph(
            f"""Every processor of py_vcon_server ({len(PY_VCON)}) and every link of the conserver ({len(links)}), with
            what it is here and what is different."""
        ),
        _paragraph(
            """Common to all: nothing is half done (a conversation that fails is changed by nobody), results that cost
            money or minutes are kept and not bought twice, what is sent is sent once and after the commit, faults that
            pass are tried again, and every step stands in the [ledger](ledger.md). Keys and passwords are
            [references](processors.md#keys-and-passwords), never values."""
        ),
        "## Processors of py_vcon_server",
        "They have the same names and options here; a definition runs unchanged.",
        _table("processor", ((name, name, differences) for name, differences in PY_VCON.items()), {}),
        "## Links of the conserver",
        _paragraph(
            """`vcon-platform pipelines import-conserver config.yml` translates a configuration: each link becomes the
            processor named here, its options those of that processor, with the link's defaults where nothing is said.
            What is not the same is told option by option. Letters stand for what several links have in common:"""
        ),
        "\n".join(f"- **{letter}** {_cell(_sentence(sentence))}" for sentence, letter in notes.items()),
        _table("link", ((each.link, each.processor, each.differences) for each in links.values()), notes),
    ]
    return "\n\n".join(parts) + "\n"


def _table(what: str, rows: Iterable[tuple[str, str, Iterable[str]]], notes: Mapping[str, str]) -> str:
    lines = [f"| {what} | here | what is different |", "|---|---|---|"]
    for name, processor, differences in rows:
        told = list(differences)
        letters = sorted(notes[each] for each in told if each in notes)
        own = [_cell(_sentence(each)) for each in told if each not in notes]
        words = " ".join([*([f"**{', '.join(letters)}**"] if letters else []), *own]) or "Nothing."
        lines.append(f"| `{name}` | [{processor}]({REFERENCE}#{processor}) | {words} |")
    return "\n".join(lines)


def _shared(differences: Iterable[Iterable[str]]) -> dict[str, str]:
    """The sentences that several have in common, and a letter for each."""
    counted = Counter(sentence for each in differences for sentence in each)
    shared = [sentence for sentence, count in counted.items() if count >= _COMMON]
    return dict(zip(shared, ascii_lowercase, strict=False))


def _sentence(words: str) -> str:
    """With a capital and a full stop; an option's name at its beginning stays as it is written."""
    first = words.partition(" ")[0]
    begin = words if "_" in first else f"{words[:1].upper()}{words[1:]}"
    return f"{begin.rstrip('.')}."


def _paragraph(text: str) -> str:
    return fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def _cell(text: str, *, escape: bool = True) -> str:
    """As it may stand in a table. ``escape``: also what Markdown would take for a tag."""
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat.replace("<", "&lt;") if escape else flat

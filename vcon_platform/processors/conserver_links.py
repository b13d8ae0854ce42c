"""The links of the conserver (vcon-server), and what each of them is here.

Belongs here: which links there are, and finding the one that is meant. Not here: what becomes of one's options, which
its family says (``counterparts_*.py``); the import of a configuration (``pipelines/conserver_import.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from vcon_platform.processors.counterparts import Counterpart

LINKS: tuple[str, ...] = (
    *("analyze", "analyze_and_label", "analyze_vcon", "check_and_tag", "datatrails", "deepgram_link", "delay"),
    *("detect_engagement", "diet", "expire_vcon", "groq_whisper", "hugging_face_whisper", "hugging_llm_link"),
    *("jq_link", "openai_transcribe", "post_analysis_to_slack", "sampler", "scitt", "tag", "tag_router", "transcribe"),
    *("webhook", "wtf_transcribe"),
)
"""All that are part of the conserver, by the last part of their module's name."""

FAMILIES = ("speech", "models", "filters", "out")
"""``counterparts_{family}.py`` each has some of them, as ``COUNTERPARTS``."""

_MODULE = "links."


@cache
def counterparts() -> Mapping[str, Counterpart]:
    """Each link with what it is here, in the order of their names. Imported when it is first asked for: only an import
    or a question about a link needs it."""
    found: list[Counterpart] = []
    for family in FAMILIES:
        found += import_module(f"{__package__}.counterparts_{family}").COUNTERPARTS
    return MappingProxyType({each.link: each for each in sorted(found, key=lambda each: each.link)})


def link_of(module: str) -> str | None:
    """The link that a ``module`` of a configuration means, None if it is none of the conserver's own."""
    name = module.removeprefix(_MODULE)
    return name if module.startswith(_MODULE) and name in LINKS else None


def instead_of(link: str) -> str | None:
    """For who wrote a link's name where a processor's belongs: what to write, None if there is no such link."""
    if link not in LINKS:
        return None
    processor = counterparts()[link].processor
    return (
        f"{link!r} is a link of the conserver; here it is processor {processor!r}, whose options are others "
        f"('vcon-platform processors show {processor}'); 'vcon-platform pipelines import-conserver' translates a "
        "configuration"
    )

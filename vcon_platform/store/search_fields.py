"""What a vCon is found by: the members of the hash ``search:{uuid}``, which the search index reads.

Belongs here: which parts of a document and of its meta are searched, and in what form. Not here: the normal forms of
text (``search_text.py``), the index over these members (``search_index.py``), who writes them (the scripts of
``documents.py``, together with the document).

The index reads hashes and not the documents, because a document may have left Redis for the archive and must be found
all the same, and because what is compared is not what is written there: numbers are E.164, addresses lower case.

Every write to such a hash makes RediSearch read all of it again, text included (measured: 0.1 ms per KB). So what did
not change should not be written, and all that did in one command.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC
from functools import lru_cache
from typing import Any

from vcon_platform.store.search_text import token, words
from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.document import Append, Change
from vcon_platform.vcon.parties import identities, normalise_tel
from vcon_platform.vcon.tags import tags
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, transcript_text

INPUTS = 1
"""Version of what :func:`fields` makes. Raise it with every change here or in ``search_text.py``: hashes of an older
version are then made again (``search_refresh.py``)."""

SEPARATOR = "\x1f"
"""Between the values of a member. No value can hold it: tokens are printable."""
LONGEST_NAME = 500
"""Characters of a name or of a subject whose words are searched."""
LONGEST_TEXT = 512 * 1024
"""Characters of a conversation's text that are searched: some ten hours of talk. More would hold up Redis for more
than about 50 ms with each write, and is in practice no talk but data."""
NAME_BREAK = " _ "
"""Between two names among the words, so that no phrase reaches from one into the other. Words have no ``_``."""

META = ("adapter", "state", "form", "signature")
"""Members of ``meta:{uuid}`` that are searched."""
_PRESUMED = {"state": "ready", "form": "unsigned"}

Fields = dict[str, str | bytes | float]


def fields(
    data: Mapping[str, Any], meta: Mapping[str, str], *, only: Collection[str] | None = None, region: str | None = None
) -> Fields:
    """The hash members of a document (the 0.4.0 view; of one that cannot be read, just its ``uuid``).

    ``only``: top-level members of the document that changed; what does not depend on them is left out. ``meta`` gives
    ``META``; members that it lacks are left as they are. ``region``: where numbers without a country code are at home.
    Never raises whatever the document holds. All times are milliseconds since 1970.
    """
    made: Fields = {name: _token(meta[name]) for name in META if name in meta}
    if only is None:
        made["v"], made["uuid"] = INPUTS, str(data.get("uuid", ""))
        for name, presumed in _PRESUMED.items():
            made.setdefault(name, presumed)
    if only is None or "created_at" in only:
        made["created"] = milliseconds(data.get("created_at")) or 0
    if only is None or "subject" in only:
        subject = data.get("subject")
        made["subject"] = words(subject[:LONGEST_NAME]) if isinstance(subject, str) else ""
    if only is None or "parties" in only:
        _parties(made, _objects(data, "parties"), region)
    if only is None or "dialog" in only:
        _dialogs(made, _objects(data, "dialog"))
    if only is None or "analysis" in only:
        made["analysis"] = _types(_objects(data, "analysis"))
    if only is None or "attachments" in only:
        made["tag"] = _tags(data)
    if only is None or not _TEXT_OF.isdisjoint(only):
        made["text"] = text_of(data)
    return made


_TEXT_OF = frozenset({"text", "dialog", "analysis", "attachments"})


def after(data: Mapping[str, Any], changes: Iterable[Change], *, region: str | None = None) -> Fields:
    """The members that these changes may have changed; ``data`` is the document with the changes in it. What was
    appended and is no transcript leaves the text as it was, and is not paid for again."""
    touched: set[str] = set()
    text = False
    for change in changes:
        if isinstance(change, Append):
            touched.add(change.array)
            text = text or _says_something(change.array, change.value)
        else:
            touched.add(change.member)
            text = text or change.member in _TEXT_OF
    made: Fields = {}
    for member in touched:
        if member == "analysis":
            made["analysis"] = _types(_objects(data, "analysis"))
        elif member == "attachments":
            made["tag"] = _tags(data)
        elif member == "dialog":
            _dialogs(made, _objects(data, "dialog"))
        else:
            made |= fields(data, {}, only=(member,), region=region)
    if text:
        made["text"] = text_of(data)
    return made


def text_of(data: Mapping[str, Any]) -> str:
    """The words of all that was said and written, in the order it was."""
    for array in _TEXT_ARRAYS:
        for entry in _objects(data, array):
            if _says_something(array, entry):
                return words(transcript_text(data)[:LONGEST_TEXT])
    return ""


_TEXT_ARRAYS = ("dialog", "analysis", "attachments")
_TRANSCRIPTS = frozenset(TRANSCRIPT_TYPES)


def _says_something(array: str, entry: Any) -> bool:
    """True if an element may hold text of the conversation, False if it certainly does not: a look that spares most
    documents the turn table."""
    if entry.__class__ is not dict:
        return False
    kind, purpose = entry.get("type"), entry.get("purpose")
    if array == "dialog":
        return bool(kind == "text")
    if (kind.__class__ is str and kind in _TRANSCRIPTS) or (purpose.__class__ is str and purpose in _TRANSCRIPTS):
        return True
    body = entry.get("body")
    # Some transcripts are told by the shape of their turns only (turns.py).
    return body.__class__ is list and len(body) > 0 and body[0].__class__ is dict


@lru_cache(maxsize=16_384)
def tel_tokens(text: str, region: str | None = None) -> tuple[str, ...]:
    """What a number is found by: as E.164, or as the local number it is (extensions, such as ``1001``), and as it was
    written (the last one). A number with an extension behind it is also found by the extension."""
    e164, extension, _ = normalise_tel(text, region)
    found = (e164 or extension or digits(text), extension, token(_bare(text, "tel:")))
    return tuple(value for value in found if value)


def mailto_token(text: str) -> str:
    """An address as it was written, without ``mailto:``."""
    return token(_bare(text, "mailto:"))


def digits(text: str) -> str:
    """The ASCII digits of a text."""
    return "".join(character for character in text if "0" <= character <= "9")


def _bare(text: str, scheme: str) -> str:
    return text[len(scheme) :] if text[: len(scheme)].lower() == scheme else text


def milliseconds(date: Any) -> int | None:
    """A date of a document in milliseconds since 1970; None if it is none."""
    moment = read_date(date, UTC) if isinstance(date, str) else None
    return None if moment is None else round(moment.seconds * 1000)


def _objects(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name)
    if value.__class__ is not list:
        return []
    return [entry for entry in value if entry.__class__ is dict] if value else value


def _joined(values: list[str]) -> str:
    if len(values) > 1:
        values = list(dict.fromkeys(values))
    return SEPARATOR.join(filter(None, values)) if values else ""


def _token(value: str) -> str:
    return _known_token(value) if len(value) <= _SHORT else token(value)


_SHORT = 100
_known_token = lru_cache(maxsize=16_384)(token)


def _name_of(name: str) -> tuple[str, str]:
    return token(name), words(name[:LONGEST_NAME])


_name = lru_cache(maxsize=16_384)(_name_of)


def _types(entries: Iterable[Mapping[str, Any]]) -> str:
    kinds = {kind: None for entry in entries if (kind := entry.get("type")).__class__ is str}
    return _joined([_token(kind) for kind in kinds])


def _parties(made: Fields, parties: Iterable[Mapping[str, Any]], region: str | None) -> None:
    tel: list[str] = []
    mailto: list[str] = []
    sip: list[str] = []
    names: list[tuple[str, str]] = []
    for party in parties:
        found = _known(party, region) or _found_by(party, region)
        tel += found[0]
        mailto += found[1]
        sip += found[2]
        names += found[3]
    made["tel"], made["mailto"], made["sip"] = _joined(tel), _joined(mailto), _joined(sip)
    made["name"] = _joined([name for name, _ in names])
    made["names"] = NAME_BREAK.join([plain for _, plain in names])


_FoundBy = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]


def _found_by(party: Mapping[str, Any], region: str | None) -> _FoundBy:
    """The numbers, addresses, SIP addresses and names of a party as they are searched."""
    found = identities(party, region=region)
    tel = [*found.tel, *found.extension]
    written = party.get("tel")
    if written.__class__ is str and written not in tel:
        tel += tel_tokens(written[:LONGEST_NAME], region)
    mailto = [_token(address) for address in found.mailto]
    written = party.get("mailto")
    if written.__class__ is str and written not in found.mailto:
        mailto.append(mailto_token(written))
    names: tuple[tuple[str, str], ...] = ()
    if found.name is not None:
        names = ((_name(found.name) if len(found.name) <= _SHORT else _name_of(found.name)),)
    return tuple(tel), tuple(mailto), tuple(map(_token, found.sip)), names


_TEXTS = ("tel", "mailto", "sip", "name")
_OTHER = frozenset(("email", "meta"))


def _known(party: Mapping[str, Any], region: str | None) -> _FoundBy | None:
    """The same from memory: whoever talks once talks again. None for a party whose members are out of the ordinary."""
    tel, mailto, sip, name = map(party.get, _TEXTS)
    for value in (tel, mailto, sip, name):
        if value is not None and (value.__class__ is not str or len(value) > _SHORT):
            return None
    return _remembered(tel, mailto, sip, name, region) if _OTHER.isdisjoint(party) else None


@lru_cache(maxsize=16_384)
def _remembered(tel: str | None, mailto: str | None, sip: str | None, name: str | None, region: str | None) -> _FoundBy:
    return _found_by({"tel": tel, "mailto": mailto, "sip": sip, "name": name}, region)


def _dialogs(made: Fields, dialogs: list[Any]) -> None:
    made["dialog"] = _types(dialogs)
    dates = {start for dialog in dialogs if (start := dialog.get("start")).__class__ is str}
    starts = [start for date in dates if (start := milliseconds(date)) is not None]
    if starts:
        made["started"] = min(starts)


def _tags(data: Mapping[str, Any]) -> str:
    return _joined([_token(f"{key}:{value}") for key, value in tags(data)]) if data.get("attachments") else ""


def tag_token(text: str) -> str:
    """A tag as somebody asks for it, ``key:value``."""
    key, _, value = text.partition(":")
    return token(f"{key.strip()}:{value.strip()}")

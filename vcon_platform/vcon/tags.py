"""Tags: words that people and systems pin on a conversation, ``team:north``.

Belongs here: reading the three shapes in the wild, and writing the one. Not here: whether a document may come in with
bad tags (``gates.py``), or finding conversations by them (``store/search_fields.py``).

Tags are a convention, not part of the draft: an attachment whose purpose (until 0.3.0: type) is ``tags`` and whose
body is a list of ``key:value``, an object, or either of them as JSON in a string. A value may hold colons, so an item
is split at the first; a key may repeat. What is no tag is left out and counted, never repaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.dates import written
from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Vcon

PURPOSE = "tags"

Tag = tuple[str, str]


class TagError(PlatformError):
    """A key or value that cannot be a tag."""


class Tags(NamedTuple):
    """``items``: (key, value) in the order of the document, each as often as it stands there. ``bad``: JSON pointers
    of what stands among the tags and is none."""

    items: list[Tag]
    bad: list[str]


def tags(data: Vcon | Mapping[str, Any]) -> list[Tag]:
    """(key, value) of every tag, in the order of the document."""
    return read_tags(data).items


def read_tags(data: Vcon | Mapping[str, Any]) -> Tags:
    """Every tag, and where something else stands in a tag's place. Never raises. A pointer into JSON that is a
    string goes on inside of it: ``/attachments/0/body/2``."""
    found = Tags([], [])
    for index, attachment in _attachments(data.data if isinstance(data, Vcon) else data):
        items, bad = read_body(attachment.get("body"))
        found.items.extend(items)
        found.bad.extend(f"/attachments/{index}/body{place}" for place in bad)
    return found


def _attachments(data: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    if data.get("attachments"):
        for index, attachment in enumerate(array(data, "attachments")):
            if attachment.get("purpose", attachment.get("type")) == PURPOSE and "body" in attachment:
                yield index, attachment


# --- the three shapes ------------------------------------------------------------------------------------------


def read_body(body: Any) -> Tags:
    """The tags of one attachment's body; the pointers of ``bad`` start at the body."""
    found = Tags([], [])
    body = _opened(body)
    if isinstance(body, list):
        for place, item in enumerate(body):
            key, colon, value = item.partition(":") if isinstance(item, str) else ("", "", "")
            if colon and (key := key.strip()):
                found.items.append((key, value.strip()))
            else:
                found.bad.append(f"/{place}")
    elif isinstance(body, dict):
        for key, value in body.items():
            texts = [_scalar(entry) for entry in (value if isinstance(value, list) else [value])]
            if key.strip() and None not in texts:
                found.items.extend((key.strip(), text) for text in texts if text is not None)
            else:
                found.bad.append(f"/{key.replace('~', '~0').replace('/', '~1')}")
    elif body is not None:
        found.bad.append("")
    return found


def _opened(body: Any) -> Any:
    if isinstance(body, str):
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return body
    return body


def _scalar(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        try:
            return orjson.dumps(value).decode()
        except TypeError:  # more digits than any parser of ours lets in
            return None
    return None


# --- writing ---------------------------------------------------------------------------------------------------


def add_tag(vcon: Vcon, key: str, value: str) -> None:
    """Pin one more tag, if it is not there yet. Changes the document's own tags attachment, else appends one; so does
    it where that attachment was signed. Raises :class:`TagError` for a key that is empty or holds a colon."""
    tag = _checked(key, value)
    if tag in tags(vcon):
        return
    for index, attachment in _attachments(vcon.data):
        listed = _as_list(attachment)
        if listed is not None and not (vcon.sealed and index < vcon.sealed.get("attachments", 0)):
            vcon.put("attachments", _as_tags(attachment, [*listed, ":".join(tag)]), index)
            return
    now = written(datetime.now(UTC).replace(microsecond=0))  # no "party": nobody in the conversation did it
    vcon.append("attachments", _as_tags({"purpose": PURPOSE, "start": now}, [":".join(tag)]))


def set_tag(vcon: Vcon, key: str, *values: str) -> None:
    """Let ``key`` have these values and no others; none takes it off. Items that are no tags stay where they are.
    Raises :class:`TagError` as above, and ``Sealed`` where a value that is to go was signed."""
    wanted = list(dict.fromkeys(_checked(key, value) for value in values))
    name = key.strip()
    for index, attachment in list(_attachments(vcon.data)):
        found = read_body(attachment["body"]).items
        if not any(known == name and (known, value) not in wanted for known, value in found):
            continue
        listed = _as_list(attachment)
        if listed is None:
            raise TagError(f"/attachments/{index}/body holds more than tags and cannot be written as a list of them")
        kept = [item for item in listed if not _is_of(item, name) or _split(item) in wanted]
        vcon.put("attachments", _as_tags(attachment, kept), index)
    for _, value in wanted:
        add_tag(vcon, key, value)


def _checked(key: str, value: str) -> Tag:
    if not key.strip() or ":" in key:
        raise TagError("a tag's key is a word without a colon; put colons into the value")
    return key.strip(), value.strip()


def _as_list(attachment: Mapping[str, Any]) -> list[Any] | None:
    """The body in the list form, items that are no tags included; None where that would lose something."""
    body = _opened(attachment["body"])
    if isinstance(body, list):
        return body
    items, bad = read_body(body)
    return None if bad else [f"{key}:{value}" for key, value in items]


def _split(item: str) -> Tag:
    key, _, value = item.partition(":")
    return key.strip(), value.strip()


def _is_of(item: Any, key: str) -> bool:
    return isinstance(item, str) and ":" in item and _split(item)[0] == key


def _as_tags(attachment: Mapping[str, Any], items: list[Any]) -> dict[str, Any]:
    """The attachment with this list as its body. A claim about other content goes with that content."""
    kept = {name: value for name, value in attachment.items() if name not in ("url", "content_hash")}
    return {**kept, "mediatype": "application/json", "encoding": "json", "body": items}

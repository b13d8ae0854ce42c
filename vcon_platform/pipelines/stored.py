"""Definitions kept in Redis, and the versions of every definition, also of those that stand in files.

Belongs here: keeping them. Not here: who may write which (``services/pipeline_edits.py``), what is in use
(``catalogue.py``).

``pipelines`` and ``pipeline:{name}`` are as py_vcon_server keeps them, so that its readers see what is stored here and
what they write is taken up at the next load. Beside them every version is kept for good, with its time and author. A
write names the version it is based on and is refused if another was made meanwhile; a roll-back is a new version. The
definition that a code server loaded last is kept too: it runs on when what follows it is broken.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.definition import Definition, canonical, hash_of, read_definition
from vcon_platform.pipelines.names import name_fault
from vcon_platform.pipelines.yaml_text import as_yaml, difference
from vcon_platform.processors.registry import Registry
from vcon_platform.store import keys
from vcon_platform.store.check import alike
from vcon_platform.store.connection import answers, explained, is_answer
from vcon_platform.store.scripts import script

if TYPE_CHECKING:
    from redis import Redis

VersionSource = Literal["stored", "file", "deleted"]
_DELETED = "deleted"


class NotStored(PlatformError):
    """There is no stored definition, or no version, of that name or number."""


class DefinitionConflict(PlatformError):
    """Somebody else wrote a version meanwhile."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a pipeline's definition. ``version`` is its hash, as runs and the ledger name it; ``at`` in epoch
    seconds; ``by`` who wrote it; ``source`` where it stood (``deleted``: the definition was deleted then)."""

    number: int
    version: str
    at: float
    by: str
    source: VersionSource
    note: str
    definition: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The definition as YAML; empty if it was deleted."""
        return "" if self.source == _DELETED else as_yaml(self.definition)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is stored at one moment: definitions by name as JSON, those that cannot be read and why, what was loaded
    last, and ``changes``, the counter's state. ``numbers``: name to how many versions it has."""

    definitions: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    changes: int = 0


class StoredDefinitions:
    """The definitions in one Redis. Raises :class:`StoreUnavailable` throughout when that cannot be asked."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client  # its replies are bytes, which its type does not say
        self._define = script(client, "define")

    # -- reading --------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The pipelines whose definitions are stored, sorted."""
        with explained():
            return sorted(raw.decode("utf-8", "replace") for raw in self._client.smembers(keys.PIPELINES))

    def changes(self) -> int:
        """A number that grows with every write."""
        with explained():
            return _count(self._client.get(keys.PIPELINE_CHANGES))

    def get(self, name: str) -> dict[str, Any] | None:
        """A stored definition as a JSON value; None if there is none."""
        text = self.snapshot([name]).definitions.get(name)
        return None if text is None else dict(orjson.loads(text))

    def versions(self, name: str) -> list[Version]:
        """Every version of a definition, oldest first; also of one that was deleted, or stands in a file."""
        with explained():
            entries = self._client.lrange(keys.pipeline_versions(name), 0, -1)
        return [_version(number, raw) for number, raw in enumerate(entries, start=1)]

    def version(self, name: str, number: int) -> Version:
        """One version. Raises :class:`NotStored`."""
        with explained():
            raw = self._client.lindex(keys.pipeline_versions(name), number - 1) if number > 0 else None
        if raw is None:
            raise NotStored(f"pipeline {name!r} has no version {number}; see 'vcon-platform pipelines versions {name}'")
        return _version(number, raw)

    def latest(self, name: str) -> Version | None:
        """The newest version; None if there is none at all."""
        with explained():
            pipe = self._client.pipeline(transaction=True)
            pipe.llen(keys.pipeline_versions(name))
            pipe.lindex(keys.pipeline_versions(name), -1)
            number, raw = pipe.execute()
        return None if raw is None else _version(number, raw)

    def diff(self, name: str, before: int, after: int) -> str:
        """How two versions differ, as a unified diff of their YAML. Raises :class:`NotStored`."""
        one, other = self.version(name, before), self.version(name, after)
        return difference(one.definition, other.definition, (_label(name, one), _label(name, other)))

    def snapshot(self, names: Collection[str] | None = None) -> Snapshot:
        """All that is stored, or of these names; one that cannot be read spoils no other. ``names`` may hold others
        too: of those the number of versions is told."""
        known = set(self.names())
        asked = sorted(known | set(names or ()) if names is None else set(names))
        pipe = self._client.pipeline(transaction=False)
        pipe.get(keys.PIPELINE_CHANGES)
        pipe.hgetall(keys.PIPELINES_LIVE)
        for name in asked:
            pipe.execute_command("JSON.GET", keys.pipeline(name))
            pipe.llen(keys.pipeline_versions(name))
            pipe.lindex(keys.pipeline_versions(name), -1)
        replies, failed = answers(pipe)
        if not replies or not is_answer(replies[0]):
            raise failed or PlatformError("Redis gave no answer")
        live = replies[1] if is_answer(replies[1]) else {}
        definitions: dict[str, str] = {}
        unreadable: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for index, name in enumerate(asked):
            raw, number, last = replies[2 + 3 * index : 5 + 3 * index]
            numbers[name] = number if is_answer(number) else 0
            if name not in known:
                continue
            if not is_answer(raw):
                unreadable[name] = f"key {keys.pipeline(name)} holds something else than JSON; delete or correct it"
            elif raw is None:
                unreadable[name] = f"is listed in {keys.PIPELINES!r}, but there is no key {keys.pipeline(name)}"
            else:
                definitions[name] = _as_written(_text(raw), last if is_answer(last) else None)
        return Snapshot(
            definitions,
            unreadable,
            {name.decode("utf-8", "replace"): _text(value) for name, value in live.items()},
            numbers,
            _count(replies[0]),
        )

    # -- writing --------------------------------------------------------------------------------------------------

    def put(
        self, name: str, raw: Any, registry: Registry, by: str, *, base: int | None = None, note: str = ""
    ) -> tuple[Definition, Version]:
        """Store a definition that can run. ``base``: the number of the version it was made from (0: there was none);
        None: whichever. The same again makes no version.

        Raises :class:`DefinitionError` with every fault, :class:`DefinitionConflict`.
        """
        definition = read_definition(name, raw, registry, "stored")
        return definition, self._write("put", name, definition.raw, by, base, note)

    def delete(self, name: str, by: str, *, base: int | None = None) -> Version:
        """Delete a stored definition; its versions stay. Raises :class:`NotStored`, :class:`DefinitionConflict`."""
        return self._write("delete", name, {}, by, base, "")

    def roll_back(self, name: str, number: int, registry: Registry, by: str) -> tuple[Definition, Version]:
        """Store an earlier version again, as a new one. Raises :class:`NotStored`, :class:`DefinitionError` if it
        cannot run any more, :class:`DefinitionConflict`."""
        wanted, latest = self.version(name, number), self.latest(name)
        if wanted.source == _DELETED:
            raise NotStored(f"version {number} of pipeline {name!r} is its deletion; choose one that has a definition")
        base = latest.number if latest else 0
        return self.put(name, wanted.definition, registry, by, base=base, note=f"as version {number}")

    def record(
        self, name: str, raw: Mapping[str, Any], source: Literal["file", "stored"], by: str, *, base: int | None = None
    ) -> None:
        """Write down that a code server loaded this definition: it is the last good one, and a new version if it is not
        the newest (a file was edited, other software wrote)."""
        self._write("record", name, canonical(raw), by, base, "", source)

    def forget_live(self, names: Collection[str]) -> None:
        """Write down that these are not in use any more, so that nothing falls back to them."""
        if names:
            with explained():
                self._client.hdel(keys.PIPELINES_LIVE, *sorted(names))

    def _write(
        self,
        mode: Literal["put", "delete", "record"],
        name: str,
        definition: Mapping[str, Any],
        by: str,
        base: int | None,
        note: str,
        source: VersionSource = "stored",
    ) -> Version:
        if fault := name_fault(name):
            raise NotStored(f"pipeline {name!r}: {fault}")
        version = "" if mode == "delete" else hash_of(definition)
        entry = {
            "version": version,
            "source": _DELETED if mode == "delete" else source,
            "at": time.time(),
            "by": by,
            "note": note,
            "definition": definition,
        }
        with explained():
            outcome, number = self._define(
                keys=[
                    keys.PIPELINES,
                    keys.pipeline(name),
                    keys.pipeline_versions(name),
                    keys.PIPELINE_CHANGES,
                    keys.PIPELINES_LIVE,
                ],
                args=[
                    mode,
                    name,
                    "" if base is None else base,
                    version,
                    orjson.dumps(entry),
                    orjson.dumps(definition),
                ],
            )
        match outcome:
            case b"missing":
                raise NotStored(f"there is no stored definition of pipeline {name!r}")
            case b"conflict" if mode != "record":
                raise DefinitionConflict(
                    f"pipeline {name!r} is at version {number} by now, not {base}: somebody else changed it. Look at "
                    f"'vcon-platform pipelines diff {name} {base} {number}', then write yours again."
                )
            case b"same":
                return self.version(name, number)
        return _version(number, orjson.dumps(entry))

    def restore(self, definitions: Mapping[str, str], by: str) -> None:
        """Store definitions that Redis has lost, from a copy (name to JSON)."""
        for name, text in sorted(definitions.items()):
            self._write("put", name, orjson.loads(text), by, None, "put back from the local copy")


def _version(number: int, raw: bytes) -> Version:
    entry = orjson.loads(raw)
    return Version(
        number, entry["version"], entry["at"], entry["by"], entry["source"], entry["note"], entry["definition"]
    )


def _label(name: str, version: Version) -> str:
    return f"{name} version {version.number}"


def _as_written(text: str, last: bytes | None) -> str:
    """The definition's JSON; as it was written if that is the newest version: RedisJSON rounds the last bit of some
    fractions, and the version's hash would differ for it."""
    if last is None:
        return text
    written = orjson.loads(last)["definition"]
    try:
        return orjson.dumps(written).decode() if alike(orjson.loads(text), written) else text
    except orjson.JSONDecodeError:
        return text


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw


def _count(raw: bytes | None) -> int:
    try:
        return int(raw or 0)
    except ValueError:
        return 0

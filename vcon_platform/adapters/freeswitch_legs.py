"""From record files to calls: which legs belong together, and whether a call is complete or must wait.

Belongs here: grouping and waiting. Not here: listing files and fingerprints (``freeswitch_files.py``), reading a
record (``freeswitch_cdr.py``), the document (``freeswitch_call.py``).

The legs of a call are found by the uuids in their file names, so that only new records are read, whatever else lies in
the folder. Waiting goes by the age of files, never by memory: a look can be cut short and nothing is lost.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched

from vcon_platform.adapters.base import Capture, Problem
from vcon_platform.adapters.freeswitch_call import Call, Recorded, build
from vcon_platform.adapters.freeswitch_cdr import MAX_RECORD_BYTES, Announced, Leg, RecordError, read_leg
from vcon_platform.adapters.freeswitch_files import Fingerprint, RecordFile, Recordings, stamp_of
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings

_CHUNK = 200  # records read ahead, so that legs which only their own record ties to a call are found beside it
_MAX_LEGS = 64  # a ring group's; more is a loop
_FUTURE_NS = 60_000_000_000  # a file from further ahead than this tells of a wrong clock: waiting for it is no use


class Calls:
    """One look at a set of record files. ``now`` None: nothing can still be coming (an archive)."""

    def __init__(
        self,
        files: Iterable[RecordFile],
        recordings: Recordings,
        settings: FreeSwitchSettings,
        version: str,
        seen: Mapping[str, str],
        now: datetime | None,
    ) -> None:
        self._recordings = recordings
        self._settings = settings
        self._version = version
        self._seen = seen
        self._now_ns = None if now is None else int(now.timestamp() * 1_000_000_000)
        self._by_uuid: dict[str, list[RecordFile]] = defaultdict(list)
        for file in files:
            if file.uuid:
                self._by_uuid[file.uuid].append(file)
        self._read: dict[str, Leg | RecordError] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        self._given: set[str] = set()

    def offers(self, pending: Sequence[RecordFile]) -> Iterator[Capture | Problem]:
        """What the pending record files give, oldest first. Files that must wait give nothing."""
        mine = {file.key for file in pending}
        for chunk in batched(sorted(pending, key=lambda file: (file.mtime_ns, file.key)), _CHUNK):
            self._read.clear()
            self._children.clear()
            for file in chunk:
                leg = self._leg(file)
                if isinstance(leg, Leg):
                    if file not in self._by_uuid[leg.uuid]:
                        self._by_uuid[leg.uuid].append(file)
                    if leg.originator:
                        self._children[leg.originator].append(leg.uuid)
            for file in chunk:
                if file.key not in self._given:
                    offer = self._offer(file, mine)
                    if offer is not None:
                        yield offer

    def settled(self, mtime_ns: int) -> bool:
        """True for a file that nobody writes to any more."""
        return self._older(mtime_ns, self._settings.settle_seconds)

    def _offer(self, file: RecordFile, mine: set[str]) -> Capture | Problem | None:
        leg = self._leg(file)
        if isinstance(leg, RecordError):
            if not self.settled(file.mtime_ns):
                return None  # half written: the switch does not rename its records into place
            return self._problem(file, leg.code, str(leg))
        root_file, root = self._root(file, leg)
        if root.is_b and not self._older(root_file.mtime_ns, self._settings.leg_wait_seconds):
            return None
        if self._now_ns is None and root_file.key not in mine:
            return None  # the call began on another day: it is that day's
        others = self._others(root_file, root)
        if others is None:
            return None
        call = Call.of(root, [each for _, each in others])
        taken = self._take_recordings(root_file, call)
        if taken is None:
            return None
        recorded, missing = taken
        claimed = Fingerprint.read(self._seen.get(root_file.key, ""))
        if set(claimed.recordings) - {self._recordings.name(each.found) for each in recorded}:
            # The switch cleaned up: captured again, the call would come without the audio that is kept already.
            return self._problem(
                file, "late_leg", "this leg's record came after its call had been captured and the recording removed"
            )
        records = [root_file, *(each for each, _ in others)]
        return self._capture(file, records, call, recorded, missing)

    def _capture(
        self, offered: RecordFile, records: list[RecordFile], call: Call, recorded: list[Recorded], missing: list[str]
    ) -> Capture:
        root_file = records[0]
        names = [file.path.name for file in records]
        files = {file.key: file for file in [offered, *records]}
        for leg in call.legs:
            files.update((file.key, file) for file in self._by_uuid[leg.uuid])
        self._given.update(files)
        vcon, paths = build(
            call,
            recorded,
            [path.replace("\\", "/").rpartition("/")[2] for path in missing],
            names,
            settings=self._settings,
            version=self._version,
        )
        claims = {key: str(Fingerprint(file.stamp)) for key, file in files.items()}
        claims[root_file.key] = str(
            Fingerprint(
                root_file.stamp,
                recordings={
                    self._recordings.name(each.found): stamp_of(each.found.size, each.found.mtime_ns)
                    for each in recorded
                },
                missing=missing,
                legs=[leg.uuid for leg in call.others if leg.uuid not in call.a.partners],
            )
        )
        day = call.a.started.astimezone(UTC).date()
        return Capture(vcon=vcon, recordings=paths, source_id=call.a.uuid, day=day, claims=claims)

    def _problem(self, file: RecordFile, code: str, message: str) -> Problem:
        self._given.add(file.key)
        return Problem(file.key, str(Fingerprint(file.stamp, problem=code)), code, message)

    def _leg(self, file: RecordFile) -> Leg | RecordError:
        found = self._read.get(file.key)
        if found is None:
            try:
                with file.path.open("rb") as opened:
                    data = opened.read(MAX_RECORD_BYTES + 1)  # one more, so that read_leg sees what is too large
                found = read_leg(data, encoded_values=self._settings.encoded_values, name_uuid=file.uuid)
            except RecordError as error:
                found = error
            except OSError as error:
                found = RecordError("unreadable", f"the file cannot be read: {error.strerror or type(error).__name__}")
            self._read[file.key] = found
        return found

    def _find(self, uuid: str) -> tuple[RecordFile, Leg] | None:
        """The record of a leg. Of two (one per POST that failed) always the same one."""
        for file in sorted(self._by_uuid.get(uuid, ()), key=lambda each: each.key):
            leg = self._leg(file)
            if isinstance(leg, Leg):
                return file, leg
        return None

    def _root(self, file: RecordFile, leg: Leg) -> tuple[RecordFile, Leg]:
        """The leg that began the call, or the topmost one whose record is here."""
        top, passed = self._find(leg.uuid) or (file, leg), {leg.uuid}
        while (above := top[1].originator) and above not in passed:
            passed.add(above)
            found = self._find(above)
            if found is None:
                break
            top = found
        return top

    def _others(self, root_file: RecordFile, root: Leg) -> list[tuple[RecordFile, Leg]] | None:
        """The records of the other legs that this one brought about, directly or through another; None if records of
        legs it speaks of may still come. An A leg that this one was bridged to is a call of its own."""
        queue = deque(sorted(root.partners) + self._children[root.uuid])
        queue.extend(Fingerprint.read(self._seen.get(root_file.key, "")).legs)
        asked = {root.uuid, root.originator or root.uuid}
        spoken_of: dict[str, tuple[RecordFile, Leg]] = {}
        absent = False
        while queue and len(asked) < _MAX_LEGS:
            uuid = queue.popleft()
            if uuid in asked:
                continue
            asked.add(uuid)
            found = self._find(uuid)
            if found is None:
                absent = absent or not self._broken(uuid)
            elif found[1].is_b:
                spoken_of[found[1].uuid] = found
                queue.extend([*sorted(found[1].partners), *self._children[uuid]])
        if absent and not self._older(root_file.mtime_ns, self._settings.b_leg_wait_seconds):
            return None
        family: dict[str, tuple[RecordFile, Leg]] = {root.uuid: (root_file, root)}
        while grown := {
            uuid: each for uuid, each in spoken_of.items() if uuid not in family and each[1].originator in family
        }:
            family |= grown
        return list(family.values())[1:]

    def _broken(self, uuid: str) -> bool:
        """True if the leg's record is there, finished and unreadable: waiting will not mend it."""
        files = self._by_uuid.get(uuid, ())
        return bool(files) and all(self.settled(file.mtime_ns) for file in files)

    def _take_recordings(self, root_file: RecordFile, call: Call) -> tuple[list[Recorded], list[str]] | None:
        """The recordings that are there and finished, and those that are not; None if the call waits for one."""
        recorded: dict[str, Recorded] = {}
        missing: list[tuple[Announced, bool]] = []
        for leg in call.legs:
            for announced in leg.announced:
                found = self._recordings.find(announced.path)
                if found is None or not self.settled(found.mtime_ns):
                    missing.append((announced, found is not None))
                else:
                    recorded.setdefault(str(found.path), Recorded(leg, announced, found))
        have = {each.found.path.name for each in recorded.values()}
        absent = [(each, growing) for each, growing in missing if each.path.rpartition("/")[2] not in have]
        must_wait = any(growing or call.answered is not None for _, growing in absent)
        if must_wait and not self._older(root_file.mtime_ns, self._settings.recording_wait_seconds):
            return None
        return list(recorded.values()), list(dict.fromkeys(each.path for each, _ in absent))

    def _older(self, mtime_ns: int, seconds: float) -> bool:
        if self._now_ns is None:
            return True
        age = self._now_ns - mtime_ns
        return age >= seconds * 1_000_000_000 or age < -_FUTURE_NS

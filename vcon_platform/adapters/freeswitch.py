"""The FreeSWITCH adapter: calls from the files that a switch leaves behind.

Belongs here: the adapter's face (discover, history) and what is known already. Not here: grouping and waiting
(``freeswitch_legs.py``), reading records, recordings and parties (the other ``freeswitch_*`` files).

The switch's files are only read, never moved or deleted: they are the switch's, and its own house-keeping stays valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from vcon_platform.adapters.base import Adapter, AdapterError, AdapterSettings, Capture, Problem
from vcon_platform.adapters.freeswitch_files import (
    ArchiveRecordings,
    Fingerprint,
    RecordFile,
    SpoolRecordings,
    list_records,
)
from vcon_platform.adapters.freeswitch_legs import Calls
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings


class FreeSwitchAdapter(Adapter):
    """Reads mod_json_cdr files and recordings from a spool, and from an archive of days."""

    name: ClassVar[str] = "freeswitch"
    title: ClassVar[str] = "FreeSWITCH"
    description: ClassVar[str] = "Call records (mod_json_cdr) and recordings from a FreeSWITCH's spool folders."
    version: ClassVar[str] = "1.0.0"
    settings_model: ClassVar[type[AdapterSettings]] = FreeSwitchSettings

    def __init__(self, settings: AdapterSettings) -> None:
        if not isinstance(settings, FreeSwitchSettings):
            raise AdapterError(f"the freeswitch adapter needs FreeSwitchSettings, not {type(settings).__name__}")
        super().__init__(settings)
        self._settings = settings

    def discover(self, seen: Mapping[str, str], now: datetime) -> Iterator[Capture | Problem]:
        """New and changed calls in the spool, oldest first."""
        if now.tzinfo is None:
            raise AdapterError("discover() needs a timezone-aware 'now'")
        folder = self._settings.records
        _must_be_folder(folder, "records")
        recordings = SpoolRecordings(self._settings.recordings)
        files = list(list_records(folder))
        calls = Calls(files, recordings, self._settings, self.version, seen, now)
        yield from calls.offers([file for file in files if not _known(file, seen, recordings, calls)])

    def history_days(self) -> Iterator[date]:
        """The archive's ``YYYY/MM/DD`` folders, oldest first; none if there is no archive."""
        archive = self._settings.archive
        for year in _numbered(archive, 4):
            for month in _numbered(year, 2):
                for day in _numbered(month, 2):
                    try:
                        yield date(int(year.name), int(month.name), int(day.name))
                    except ValueError:  # 2026/13/99 is somebody's folder, but no day
                        continue

    def history(self, day: date) -> Iterator[Capture | Problem]:
        """The calls whose first record lies in the archive's folder of that day. Legs and recordings that midnight
        parted from it are fetched from the folders beside it."""
        folder = self._day_folder(day)
        if not folder.is_dir():
            return
        files = list(list_records(folder, self._key_prefix(day)))
        beside = [day + timedelta(days=offset) for offset in (1, -1)]
        beside = [each for each in beside if self._day_folder(each).is_dir()]
        nearby: list[RecordFile] = []
        for each in beside:
            nearby += list_records(self._day_folder(each), self._key_prefix(each))
        recordings = ArchiveRecordings([folder, *map(self._day_folder, beside)])
        calls = Calls([*files, *nearby], recordings, self._settings, self.version, {}, None)
        yield from calls.offers(files)

    def _day_folder(self, day: date) -> Path:
        return self._settings.archive / f"{day:%Y}" / f"{day:%m}" / f"{day:%d}"

    def _key_prefix(self, day: date) -> str:
        return f"archive/{day:%Y}/{day:%m}/{day:%d}/"


def _known(file: RecordFile, seen: Mapping[str, str], recordings: SpoolRecordings, calls: Calls) -> bool:
    """True if the record and its recordings are as they were taken. A recording that has gone since is not a change
    (switches clean up), one still being written is none yet."""
    text = seen.get(file.key)
    if text is None or text == file.stamp:
        return text is not None
    if not text.startswith(f"{file.stamp} "):
        return False
    claim = Fingerprint.read(text)
    if claim.stamp != file.stamp:
        return False
    for name, stamp in claim.recordings.items():
        current = recordings.stamp(name)
        if current is not None and current[0] != stamp and calls.settled(current[1]):
            return False
    for announced in claim.missing:
        found = recordings.find(announced)
        if found is not None and calls.settled(found.mtime_ns):
            return False
    return True


def _must_be_folder(folder: Path, setting: str) -> None:
    if not folder.is_dir():
        raise AdapterError(
            f"the folder {folder} does not exist. Create it, or correct '{setting}' in the adapter's settings file to "
            "where the switch writes (relative folders start at the data folder)."
        )


def _numbered(folder: Path, digits: int) -> list[Path]:
    try:
        return sorted(
            each for each in folder.iterdir() if len(each.name) == digits and each.name.isdecimal() and each.is_dir()
        )
    except (FileNotFoundError, NotADirectoryError):
        return []

"""The archive: days, and the same documents as live."""

from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

from tests.adapters.support import START, WAV, Spool, call, unanswered
from vcon_platform.adapters.base import Capture, Problem
from vcon_platform.demo.call_records import CallRecord

DAY = START.date()


def archived(spool: Spool, record: CallRecord, day: date = DAY, *, legs: str = "ab", flat: bool = False) -> None:
    folder = spool.archive / f"{day:%Y/%m/%d}"
    for name, data in record.files.items():
        if ("a" if name.startswith("a_") else "b") in legs:
            spool.put(folder / ("" if flat else "cdr") / name, data)
    if record.recording:
        spool.put(folder / ("" if flat else "recordings") / Path(record.recording).name, WAV)


def captured(spool: Spool, day: date = DAY) -> list[Capture]:
    return [item for item in spool.adapter.history(day) if isinstance(item, Capture)]


def test_the_archive_s_days_are_its_folders_in_order(spool: Spool) -> None:
    for folder in ("2026/11/03", "2026/01/31", "2025/12/24", "2026/13/01", "2026/11/x", "notes"):
        (spool.archive / folder).mkdir(parents=True)
    (spool.archive / "2026" / "11" / "04").write_text("a file")
    assert list(spool.adapter.history_days()) == [date(2025, 12, 24), date(2026, 1, 31), date(2026, 11, 3)]


def test_no_archive_has_no_days(spool: Spool) -> None:
    assert list(spool.adapter.history_days()) == []
    assert captured(spool) == []


def test_a_day_gives_its_calls_with_recordings_beside_or_below(spool: Spool) -> None:
    archived(spool, call())
    archived(spool, call(uuid=str(uuid4()), recording="flat.wav"), flat=True)
    archived(spool, unanswered(uuid=str(uuid4())))
    found = captured(spool)
    assert sorted(path.name for each in found for path in each.recordings.values()) == ["call.wav", "flat.wav"]
    assert len(found) == 3


def test_what_was_captured_live_gets_the_same_document_from_the_archive(spool: Spool) -> None:
    spool.add(call())
    archived(spool, call())
    [from_archive] = captured(spool)
    assert from_archive.vcon.to_bytes() == spool.one().vcon.to_bytes()


def test_a_call_that_midnight_parted_is_one_conversation_of_its_first_day(spool: Spool) -> None:
    archived(spool, call(), legs="a")
    archived(spool, call(recording=None), DAY + timedelta(days=1), legs="b")
    [capture] = captured(spool)
    assert len(capture.vcon.attachments[0]["body"]["legs"]) == 2
    assert captured(spool, DAY + timedelta(days=1)) == []


def test_nothing_waits_in_an_archive(spool: Spool) -> None:
    archived(spool, call(recording=None), legs="b")
    archived(spool, call(uuid=str(uuid4()), recording=None), legs="a")
    assert len(captured(spool)) == 2


def test_an_unreadable_record_is_reported_beside_the_day_s_calls(spool: Spool) -> None:
    archived(spool, call())
    spool.put(spool.archive / f"{DAY:%Y/%m/%d}" / "bad.cdr.json", b"?")
    found = list(spool.adapter.history(DAY))
    assert {type(item) for item in found} == {Capture, Problem}


def test_archive_and_spool_items_have_different_keys(spool: Spool) -> None:
    archived(spool, call())
    [capture] = captured(spool)
    assert all(key.startswith(f"archive/{DAY:%Y/%m/%d}/") for key in capture.claims)

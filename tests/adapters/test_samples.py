"""The sample calls: as promised, the same every time, and speaking of what they say they speak of."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.adapters.support import NOW, Spool
from vcon_platform.demo.samples import (
    SAMPLES,
    Sample,
    archived_calls,
    audio_bytes,
    drop_into_spool,
    repair,
    write_archive,
)
from vcon_platform.processors.audio import AudioError, decode
from vcon_platform.processors.speech_local import LocalEngine

LATER = NOW.replace(year=2099)
BROKEN = SAMPLES[-1]


def states(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def heard(name: str) -> str:
    return str(LocalEngine().transcribe(audio_bytes(name), language="en").to_json()).lower()


def test_three_speak_of_a_recall_four_do_not_and_one_is_broken() -> None:
    assert [sample.verdict for sample in SAMPLES].count("recall") == 3
    assert [sample.verdict for sample in SAMPLES].count("filtered") == 4
    assert [sample.verdict for sample in SAMPLES].count("failed") == 1
    assert [sample.name for sample in SAMPLES if sample.audio is None] == ["missed"]


def test_dropping_again_changes_nothing(tmp_path: Path) -> None:
    written = drop_into_spool(tmp_path)
    before = states(tmp_path)
    assert set(before) == set(written)
    assert drop_into_spool(tmp_path) == written
    assert states(tmp_path) == before


def test_a_repaired_recording_is_not_broken_again(tmp_path: Path) -> None:
    drop_into_spool(tmp_path)
    path = repair(tmp_path, BROKEN)
    before = states(tmp_path)
    drop_into_spool(tmp_path)
    assert states(tmp_path) == before
    assert path.read_bytes() == audio_bytes("kettle.wav")


def test_only_a_broken_recording_can_be_repaired(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not broken"):
        repair(tmp_path, SAMPLES[0])


def test_the_adapter_makes_of_each_sample_what_the_sample_says(spool: Spool) -> None:
    drop_into_spool(spool.root)
    found = {capture.source_id: capture for capture in spool.adapter.discover({}, LATER)}  # type: ignore[union-attr]
    assert set(found) == {sample.uuid for sample in SAMPLES}
    for sample in SAMPLES:
        vcon = found[sample.uuid].vcon  # type: ignore[union-attr]
        assert vcon.uuid == sample.vcon_uuid("pbx")
        by_role = {party["role"]: party for party in vcon.parties}
        assert by_role["customer"]["tel"] == sample.customer_tel
        assert by_role["customer"].get("name", "") == sample.customer_name
        assert (by_role["agent"]["tel"], by_role["agent"].get("name")) == (sample.agent_extension, sample.agent_name)
        assert vcon.dialog[0]["type"] == ("recording" if sample.audio else "incomplete")


@pytest.mark.parametrize("sample", [sample for sample in SAMPLES if sample.audio], ids=lambda sample: sample.name)
def test_every_recording_is_as_long_as_its_record_says(sample: Sample) -> None:
    audio = decode(audio_bytes(sample.repaired or sample.audio or ""))
    assert audio.duration == pytest.approx(sample.record.record_ms / 1000, abs=0.1)
    assert len(audio.channels) == (2 if sample.record.stereo else 1)


def test_the_broken_recording_cannot_be_decoded() -> None:
    with pytest.raises(AudioError, match="damaged"):
        decode(audio_bytes("kettle_broken.wav"))


def test_a_recall_is_heard_where_it_is_spoken_of() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "monitor")
    text = heard(sample.audio or "")
    assert all(word in text for word in sample.words)
    assert "recall" in text


def test_no_recall_is_heard_where_none_is_spoken_of() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "parcel")
    text = heard(sample.audio or "")
    assert all(word in text for word in sample.words)
    assert "recall" not in text


def test_an_archive_has_the_calls_it_was_asked_for_and_the_same_every_time(spool: Spool) -> None:
    days = [date(2026, 10, 1) + timedelta(days=index) for index in range(3)]
    assert write_archive(spool.archive, days, 10) == 30
    before = states(spool.archive)
    assert write_archive(spool.archive, days, 10) == 30
    assert states(spool.archive) == before
    assert list(spool.adapter.history_days()) == days
    for day in days:
        captures = {capture.source_id: capture for capture in spool.adapter.history(day)}  # type: ignore[union-attr]
        calls = archived_calls(day, 10)
        assert set(captures) == {call.uuid for call in calls}
        assert {capture.day for capture in captures.values()} == {day}  # type: ignore[union-attr]
        assert sum(call.verdict == "recall" for call in calls) == 3
        assert sum(bool(capture.recordings) for capture in captures.values()) == 7  # type: ignore[union-attr]


def test_samples_lie_in_the_past_and_on_two_days() -> None:
    assert {sample.start.date() for sample in SAMPLES} == {date(2026, 11, 2), date(2026, 11, 3)}
    assert all(sample.start < datetime(2026, 11, 4, tzinfo=UTC) for sample in SAMPLES)

"""Recordings are found wherever the switch put them, and nothing outside the folder is ever opened."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.adapters.freeswitch_recordings import find_recording, tail_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("switch")
    folder = root / "recordings"
    for name in ("call.wav", "2026/call.wav", "2026/11/a b+c.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "empty.wav").write_bytes(b"")
    (root / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(root / "secret.wav")
    (folder / "outside").symlink_to(root)
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    return folder


@pytest.mark.parametrize(
    ("announced", "found"),
    [
        ("/var/lib/freeswitch/recordings/call.wav", "call.wav"),
        ("/var/lib/freeswitch/recordings/2026/call.wav", "2026/call.wav"),
        ("/mnt/elsewhere/2025/call.wav", "call.wav"),
        (r"C:\FreeSWITCH\recordings\2026\11\a b+c.wav", "2026/11/a b+c.wav"),
        ("call.wav", "call.wav"),
    ],
)
def test_the_longest_tail_of_the_switch_s_path_that_exists_is_the_recording(
    folder: Path, announced: str, found: str
) -> None:
    recording = find_recording(announced, folder)
    assert recording is not None
    assert recording.path == folder / found
    assert recording.size == len(found)


def test_a_switch_that_writes_where_we_read_is_taken_at_its_word(folder: Path) -> None:
    recording = find_recording(str(folder / "2026" / "call.wav"), folder)
    assert recording is not None
    assert recording.path == folder / "2026" / "call.wav"


@pytest.mark.parametrize(
    "announced",
    [
        "../secret.wav",
        "/var/../../secret.wav",
        "..\\secret.wav",
        "link.wav",
        "loop.wav",
        "outside/secret.wav",
        "empty.wav",
        "2026",
        "call.wav/",
        "",
        "/",
        "..",
        "call.wav\x00",
        "a" * 5_000,
        "/".join(["deep"] * 3_000),
    ],
)
def test_what_is_outside_a_link_empty_or_no_file_is_not_found(folder: Path, announced: str) -> None:
    assert find_recording(announced, folder) is None


def test_an_absolute_path_outside_the_folder_is_not_opened(folder: Path) -> None:
    assert find_recording(str(folder.parent / "secret.wav"), folder) is None


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(["..", ".", "", "2026", "outside", "secret.wav", "call.wav", "link.wav", "\\", "\x00", "é"])
    )
)
def test_no_path_whatever_leads_out_of_the_folder(folder: Path, parts: list[str]) -> None:
    found = find_recording("/".join(parts), folder)
    assert found is None or found.path.resolve().is_relative_to(folder.resolve())


@given(st.text())
def test_any_text_has_a_harmless_tail(text: str) -> None:
    assert not {"..", ".", ""} & set(tail_of(text))

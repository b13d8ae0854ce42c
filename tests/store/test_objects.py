"""Object stores by URL: which there are, and errors that name the store and the cure."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

from vcon_platform.settings import Settings
from vcon_platform.store.objects import ObjectsUnavailable, describe, explained, open_objects

KEYS = {"MY_KEY": "a", "MY_SECRET": "b"}


def test_a_folder_is_made_and_used(tmp_path: Path) -> None:
    folder = tmp_path / "a folder" / "objects"
    obstore.put(open_objects(folder.as_uri()), "one", b"1")
    assert obstore.get(open_objects(str(folder)), "one").bytes() == b"1"


def test_without_a_setting_the_objects_are_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir_setting=tmp_path)
    assert describe(open_objects(settings.objects_url)) == f"the folder {tmp_path / 'objects'}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://recordings/calls?region=eu-central-1", "s3://recordings/calls"),
        ("gs://recordings/calls", "gs://recordings/calls"),
        ("az://recordings/calls?account_name=ours", "az://recordings/calls"),
    ],
)
def test_each_cloud_is_told_by_its_url(url: str, name: str) -> None:
    assert describe(open_objects(url, {})) == name


def test_memory_is_for_tests() -> None:
    objects = open_objects("memory://")
    obstore.put(objects, "one", b"1")
    assert describe(objects) == "the memory"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://host/folder", "'ftp' is not known"),
        ("s3://", "must name a bucket"),
        ("s3://key:secret@bucket", "hold no credentials"),
        ("s3://bucket?secret_access_key=hunter2", "write secret_access_key=env:NAME"),
        ("s3://bucket?secret_access_key=env:NOT_SET", "NOT_SET, which is not set"),
        ("s3://bucket?no_such_option=1", "cannot be used"),
        ("s3://bucket?endpoint=http://127.0.0.1:9000", "plain http"),
        ("s3://bucket?endpoint_url=http://127.0.0.1:9000", "plain http"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_with_the_cure(url: str, told: str) -> None:
    with pytest.raises(ObjectsUnavailable, match=told) as raised:
        open_objects(url, {})
    assert "hunter2" not in str(raised.value)


def test_plain_http_is_refused_from_the_environment_too() -> None:
    with pytest.raises(ObjectsUnavailable, match="plain http"):
        open_objects("s3://bucket", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})


def test_credentials_come_by_the_name_of_a_variable_and_are_never_shown() -> None:
    objects = open_objects("s3://bucket/x?access_key_id=env:MY_KEY&secret_access_key=env:MY_SECRET", KEYS)
    assert getattr(objects, "config")["secret_access_key"] == "b"  # noqa: B009 - not every store has a config
    assert describe(objects) == "s3://bucket/x"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ObjectsUnavailable, match="cannot be made"):
        open_objects(str(tmp_path / "file" / "objects"))


@pytest.mark.parametrize(
    ("text", "told", "transient"),
    [
        ("Unable to copy data to file: No space left on device (os error 28)", "is full: free space", True),
        ("Unable to create file: Read-only file system (os error 30)", "is read-only", False),
        ("Permission denied (os error 13)", "read and write access", False),
        (
            "Server returned non-2xx status code: 403 Forbidden: <Code>AccessDenied</Code>",
            "check the credentials",
            False,
        ),
        ("Server returned non-2xx status code: 503: <Code>SlowDown</Code>", "asks to slow down", True),
        ("status code: 500 Internal Server Error", "error of its own", True),
        ("HTTP error: error sending request", "does not answer: check the network", True),
        ("Error performing PUT http://169.254.169.254/latest/api/token", "has no credentials to go by", False),
        ("<Code>Strange</Code>", r"answered with an error \(Strange\)", False),
    ],
)
def test_an_error_names_the_store_and_the_cure(tmp_path: Path, text: str, told: str, transient: bool) -> None:
    from obstore.exceptions import GenericError

    objects = open_objects(str(tmp_path))
    with pytest.raises(ObjectsUnavailable, match=told) as raised, explained(objects):
        raise GenericError(text)
    assert str(tmp_path) in str(raised.value)
    assert raised.value.transient is transient


def test_an_object_that_is_not_there_is_the_callers_to_judge(tmp_path: Path) -> None:
    objects = open_objects(str(tmp_path))
    with pytest.raises(FileNotFoundError), explained(objects):
        obstore.get(objects, "nothing")

"""What we capture is read by others: the Python package ``vcon`` as an independent reader of our documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vcon_platform.adapters.base import Capture
from vcon_platform.adapters.registry import load_adapters
from vcon_platform.demo.samples import SAMPLES, drop_into_spool
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects

SETTINGS = Path(__file__).parents[2] / "pipelines" / "adapters" / "freeswitch.yaml"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The eight sample calls as captured, bodies inline."""
    folder = tmp_path_factory.mktemp("switch")
    drop_into_spool(folder / "freeswitch" / "spool")
    [adapter] = load_adapters({SETTINGS.name: SETTINGS.read_text()}, folder).adapters.values()
    media = MediaStore(local_objects(folder / "objects"), 10**9)
    documents = []
    for found in adapter.discover({}, datetime.now(UTC) + timedelta(hours=2)):
        assert isinstance(found, Capture)
        for index, path in found.recordings.items():
            found.vcon.dialog[index].update(media.keep_file(path))
        documents.append(found.vcon.data)
    return documents


def test_every_sample_is_captured(documents: list[dict[str, Any]]) -> None:
    assert {document["uuid"] for document in documents} == {sample.vcon_uuid() for sample in SAMPLES}


def test_the_vcon_package_reads_the_same_parties_and_dialogs(reader: Any, documents: list[dict[str, Any]]) -> None:
    for document in documents:
        read = reader.build_from_json(json.dumps(document)).to_dict()
        assert read["uuid"] == document["uuid"]
        assert [party.get("tel") for party in read["parties"]] == [party.get("tel") for party in document["parties"]]
        for ours, theirs in zip(document["dialog"], read["dialog"], strict=True):
            assert {name: theirs.get(name) for name in ("type", "start", "body")} == {
                name: ours.get(name) for name in ("type", "start", "body")
            }


def test_the_vcon_package_finds_every_captured_document_valid(reader: Any, documents: list[dict[str, Any]]) -> None:
    faults = {}
    for document in documents:
        valid, why = reader.build_from_json(json.dumps(document)).is_valid()
        if not valid:
            faults[document["uuid"]] = why
    assert faults == {}

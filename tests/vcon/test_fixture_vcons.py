"""Every public vCon of the collection is answered as its index says, and the view of it loses and invents nothing."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.vcon.certificates import CERTS, VCONS
from tests.vcon.ingress import POLICY, reply
from vcon_platform.vcon.encryption import load_keys
from vcon_platform.vcon.media import decode_base64url
from vcon_platform.vcon.migrate import ARRAYS
from vcon_platform.vcon.received import Received, receive
from vcon_platform.vcon.trust import load_trust


def index() -> dict[str, str]:
    """File and answer, as INDEX.md has them."""
    table: dict[str, str] = {}
    for line in (VCONS / "INDEX.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 14 and (VCONS / cells[1]).is_file():
            table[cells[1]] = cells[9]
    return table


INDEX = index()
PARKED = "made/critical_unknown.vcon"
KEPT = [*(file for file, answer in INDEX.items() if not answer.startswith(("4", "202 opaque"))), PARKED]


def view(file: str) -> Received:
    received = reply((VCONS / file).read_bytes(), media_type=None).received
    assert received is not None
    return received


def source(file: str) -> Any:
    """The unsigned document in the file."""
    value = orjson.loads((VCONS / file).read_bytes())
    if "payload" in value:
        value = orjson.loads(decode_base64url(value["payload"]))
    return value


def test_every_vcon_is_in_the_index() -> None:
    files = {path.relative_to(VCONS).as_posix() for path in VCONS.rglob("*") if path.is_file()}
    assert {file for file in files if not file.startswith("certs/") and file != "INDEX.md"} == set(INDEX)


@pytest.mark.parametrize("file", INDEX)
def test_the_answer_is_that_of_the_index(file: str) -> None:
    found = reply((VCONS / file).read_bytes(), media_type=None)
    if INDEX[file] == "422 or parked":
        assert found.received is not None
        assert found.received.parked == ("x_escrow",)
    else:
        assert found.status == int(INDEX[file][:3])


@pytest.mark.parametrize("file", KEPT)
def test_the_view_is_stable_under_a_second_pass(file: str) -> None:
    first = orjson.dumps(view(file).data)
    assert orjson.dumps(receive(orjson.loads(first), POLICY).data) == first


@pytest.mark.parametrize("file", KEPT)
def test_a_second_pass_has_no_migration_to_tell(file: str) -> None:
    about_content = {"unverified_external", "url_blocked", "presigned_url", "hash_mismatch", "unsupported_critical"}
    again = receive(orjson.loads(orjson.dumps(view(file).data)), POLICY)
    assert {finding.code for finding in again.findings} <= about_content


@pytest.mark.parametrize("file", KEPT)
def test_elements_keep_their_places(file: str) -> None:
    before, after = source(file), view(file).data
    assert [len(after.get(array) or []) for array in ARRAYS] == [len(before.get(array) or []) for array in ARRAYS]


RENAMED = {"mimetype", "alg", "signature", "vendor_schema", "vendor_product", "transcript", "email"}
"""Members that the view has under another name; an attachment's ``type`` is one too."""
NEW_NAMES = {"mediatype", "content_hash", "schema", "product", "body", "mailto", "purpose", "encoding", "vendor"}


@pytest.mark.parametrize("file", KEPT)
def test_no_member_of_an_element_is_lost(file: str) -> None:
    before, after = source(file), view(file).data
    for array in ARRAYS:
        for old, new in zip(before.get(array) or [], after.get(array) or [], strict=True):
            gone = {name for name in old.keys() - new.keys() if old[name] is not None}
            assert gone <= (RENAMED | {"type"} if array == "attachments" else RENAMED)


@pytest.mark.parametrize("file", KEPT)
def test_no_member_of_the_document_is_lost(file: str) -> None:
    before, after = source(file), view(file).data
    gone = {name for name in before.keys() - after.keys() if before[name] not in (None, {}, [])}
    assert gone <= {"vcon", "appended", "must_support"}


@pytest.mark.parametrize("file", KEPT)
def test_no_member_is_invented(file: str) -> None:
    before, after = source(file), view(file).data
    assert after.keys() - before.keys() <= {"created_at", "amended", "critical"}
    for array in ARRAYS:
        for old, new in zip(before.get(array) or [], after.get(array) or [], strict=True):
            assert new.keys() - old.keys() <= NEW_NAMES


REWRITTEN = {"encoding", "vendor", "created_at", "updated_at", "start", "content_hash", "mediatype", "type"}
"""Members whose value may be spelled another way."""


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, name)
    else:
        yield name, repr(value)
        if isinstance(value, str):
            yield name, repr(value.rstrip("=").replace("+", "-").replace("/", "_"))
            if name == "body":
                with suppress(orjson.JSONDecodeError):
                    yield from leaves(orjson.loads(value), "inside")


@pytest.mark.parametrize("file", KEPT)
def test_no_value_is_invented(file: str) -> None:
    said = {value for _, value in leaves(source(file))}
    assert not [name for name, value in leaves(view(file).data) if value not in said and name not in REWRITTEN]


CORE_ROOT = CERTS / "core" / "fake_ca_root.crt"
OTHER_ROOT = CERTS / "core" / "fake_ca2_root.crt"
INTEROP_ROOT = CERTS / "interop" / "ca_root.crt"


@pytest.mark.parametrize(
    ("file", "root", "state"),
    [
        ("core-03/ab_call_ext_rec_signed.vcon", CORE_ROOT, "valid"),
        ("core-03/ab_call_ext_rec_signed.vcon", OTHER_ROOT, "untrusted"),
        ("petrie-0.0.1/ab_call_ext_rec_signed.vcon", CORE_ROOT, "valid"),
        ("py-vcon-interop/pyvcon_interop_expired_signed.vcon", INTEROP_ROOT, "expired"),
    ],
)
def test_the_signature_has_the_state_of_the_index(file: str, root: Path, state: str) -> None:
    policy = replace(POLICY, trust=load_trust(root, require_ca=False))
    received = reply((VCONS / file).read_bytes(), policy).received
    assert received is not None
    assert received.signature == state


@pytest.mark.parametrize(
    "file", ["core-03/ab_call_ext_rec_signed.vcon", "py-vcon-interop/pyvcon_interop_expired_signed.vcon"]
)
def test_a_source_that_requires_signatures_refuses_all_but_valid_ones(file: str) -> None:
    policy = replace(POLICY, trust=load_trust(OTHER_ROOT, require_ca=False), require_signature=True)
    assert reply((VCONS / file).read_bytes(), policy).status == 401


@pytest.mark.parametrize(
    ("file", "key", "root", "version"),
    [
        ("container-0.0.2/ab_call_ext_rec_encrypted.vcon", CERTS / "core" / "fake_grp.key", CORE_ROOT, "0.0.2"),
        ("py-vcon-interop/pyvcon_interop_encrypted.vcon", CERTS / "interop" / "private.key", INTEROP_ROOT, "0.0.2"),
    ],
)
def test_an_encrypted_vcon_opens_with_its_key(file: str, key: Path, root: Path, version: str) -> None:
    policy = replace(POLICY, keys=load_keys(key), trust=load_trust(root, require_ca=False))
    received = reply((VCONS / file).read_bytes(), policy).received
    assert received is not None
    assert (received.form, received.signature, received.source_version) == ("encrypted", "valid", version)


def test_an_encrypted_vcon_without_its_key_is_known_by_its_uuid_alone() -> None:
    found = view("container-0.0.2/ab_call_ext_rec_encrypted.vcon")
    assert (found.data, found.opaque) == ({"uuid": "0195544a-b9b1-8ee4-b9a2-279e0d16bc46"}, True)


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("petrie-0.0.1/ab_call_ext_rec.vcon", "0.0.1"),
        ("container-0.0.2/ab_call_ext_rec.vcon", "0.0.2"),
        ("other/go_rec1_0.0.3.vcon", "0.0.3"),
        ("other/basic-call_0.3.0.vcon", "0.3.0"),
        ("made/tags_shapes.vcon", "0.4.0"),
        ("core-03/ab_call_int_rec.vcon", "0.4.0"),  # names none
        ("vcon-server/05cec3d4-0561-4010-9fb8-23cc7edef146.vcon.json", "0.0.1"),  # names none and has alg, mimetype
    ],
)
def test_the_version_is_what_the_document_says_or_shows(file: str, version: str) -> None:
    assert view(file).source_version == version

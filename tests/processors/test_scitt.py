"""``scitt``: what is stated and about whom, what a service's answers mean, and that a receipt proves what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.fakes.scitt import FakeScitt, fake_scitt, path, receipt, tree
from tests.fakes.services import Answer
from tests.processors.support import UUID, ResultsInMemory, document, io_of
from tests.support import free_port
from vcon_platform.processors import scitt_service
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.fingerprint import fingerprint
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.scitt import Scitt, ScittOptions
from vcon_platform.processors.scitt_cose import KeyUnfit, ReceiptBroken, algorithm_of, check_receipt, root_of, sign
from vcon_platform.processors.testing import processor_tests

KEY = ec.generate_private_key(ec.SECP256R1())
OPTIONS: dict[str, Any] = {"signing_key": "env:VCON_KEY_SCITT"}
SECRET = "a secret that nobody guesses"
CALL = document(
    parties=[{"tel": "+1 312 555 0142", "name": "Alice"}, {"mailto": "bob@example.com"}],
    dialog=[{"type": "text", "body": "hello", "encoding": "none"}],
)


def pem(key: Any) -> str:
    kind = serialization.PrivateFormat.PKCS8
    return str(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode())


@pytest.fixture(scope="module")
def running() -> Iterator[FakeScitt]:
    with fake_scitt({"key-1": KEY.public_key()}) as fake:
        yield fake


@pytest.fixture(autouse=True)
def _named(running: FakeScitt, monkeypatch: pytest.MonkeyPatch) -> None:
    running.statements.clear()
    del running.leaves[2:]
    running.service.asked.clear()
    running.service.next.clear()
    running.later, running.chain = 0, False
    monkeypatch.setenv("SCITT_URL", running.service.url)
    monkeypatch.setenv("VCON_KEY_SCITT", pem(KEY))
    monkeypatch.setenv("SCITT_PSEUDONYMS", SECRET)
    monkeypatch.setattr(scitt_service, "sleep", lambda _: None)


@pytest.fixture
def log(running: FakeScitt) -> FakeScitt:
    return running


TestScittStandard = processor_tests(Scitt, example_io=lambda: io_of(dict(CALL)), options=OPTIONS)


def stated(data: dict[str, Any] | None = None, results: ResultsInMemory | None = None, **options: Any) -> ProcessorIO:
    io = io_of(dict(CALL if data is None else data), results=results)
    Scitt().process(io, ScittOptions.model_validate({**OPTIONS, **options}))
    return io


# --- what is stated --------------------------------------------------------------------------------------------


def test_the_fingerprint_and_what_was_done_are_registered(log: FakeScitt) -> None:
    stated(vcon_operation="vcon_enhanced")
    [statement] = log.decoded()
    told = {"operation": "vcon_enhanced", "subject": f"vcon://{UUID}", "vcon_hash": f"sha256:{fingerprint(CALL)}"}
    assert orjson.loads(statement["payload"]) == told
    assert statement["head"] == {
        1: -7,
        3: "application/json",
        4: b"key-1",
        15: {1: "vcon-platform", 2: f"vcon://{UUID}"},
    }


def test_older_services_find_the_claims_where_they_look(log: FakeScitt) -> None:
    stated(claims_label=13)
    assert log.decoded()[0]["head"][13] == {1: "vcon-platform", 2: f"vcon://{UUID}"}


def test_the_receipt_is_kept_in_the_vcon(log: FakeScitt) -> None:
    [analysis] = stated().vcon.analysis
    assert (analysis["type"], analysis["vendor"], analysis["dialog"]) == ("scitt_receipt", "scitt", 0)
    assert analysis["body"]["entry_id"] in log.statements
    assert analysis["body"]["vcon_hash"] == fingerprint(CALL)


def test_it_can_be_left_out_of_the_vcon(log: FakeScitt) -> None:
    assert stated(store_receipt=False).vcon.analysis == []
    assert len(log.statements) == 1


def test_a_retry_registers_nothing_again(log: FakeScitt) -> None:
    results = ResultsInMemory()
    assert stated(results=results).vcon.data == stated(results=results).vcon.data
    assert [asked.path for asked in log.service.asked].count("/entries") == 1


def test_what_is_stated_already_is_not_stated_again(log: FakeScitt) -> None:
    first = stated().vcon.data
    with pytest.raises(NotApplicable, match="receipts of this statement already"):
        stated(first)
    assert stated(first, vcon_operation="vcon_enhanced").vcon.analysis[1]["body"]["vcon_operation"] == "vcon_enhanced"


def test_a_changed_vcon_is_stated_again() -> None:
    first = stated().vcon.data
    assert len(stated({**first, "subject": "another"}).vcon.analysis) == 2


# --- about whom ------------------------------------------------------------------------------------------------


def test_a_party_has_a_pseudonym_and_nothing_of_it_is_in_the_log(log: FakeScitt) -> None:
    [analysis] = stated(subjects="parties", pseudonym_key="env:SCITT_PSEUDONYMS").vcon.analysis
    subjects = [each["subject"] for each in analysis["body"]]
    assert len(set(subjects)) == 2
    assert all(subject.startswith("urn:vcon:party:") for subject in subjects)
    for raw in log.statements.values():
        assert not any(person in raw for person in (b"5550142", b"555", b"Alice", b"bob", b"example.com"))


def test_one_number_is_one_pseudonym_however_it_is_written() -> None:
    how: dict[str, Any] = {"subjects": "parties", "pseudonym_key": "env:SCITT_PSEUDONYMS"}
    written = [{"tel": "+13125550142"}], [{"tel": "tel:+1-312-555-0142"}]
    first, second = (stated(document(parties=parties), **how).vcon.analysis[0]["body"] for parties in written)
    assert first["subject"] == second["subject"]


def test_without_the_key_a_pseudonym_cannot_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    how: dict[str, Any] = {"subjects": "parties", "pseudonym_key": "env:SCITT_PSEUDONYMS"}
    first = stated(**how).vcon.analysis[0]["body"][0]["subject"]
    monkeypatch.setenv("SCITT_PSEUDONYMS", SECRET + "!")
    assert stated(**how).vcon.analysis[0]["body"][0]["subject"] != first


def test_a_key_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCITT_PSEUDONYMS", "short")
    with pytest.raises(NotConfigured, match="fewer than 16 characters"):
        stated(subjects="parties", pseudonym_key="env:SCITT_PSEUDONYMS")


def test_where_nobody_is_known_the_vcon_is_the_subject() -> None:
    io = stated(document(), subjects="parties", pseudonym_key="env:SCITT_PSEUDONYMS")
    assert io.vcon.analysis[0]["body"]["subject"] == f"vcon://{UUID}"


# --- what the service answers ----------------------------------------------------------------------------------


def test_a_statement_that_it_has_already_gives_its_receipt(log: FakeScitt) -> None:
    first = stated().vcon.analysis[0]["body"]
    assert stated().vcon.analysis[0]["body"]["entry_id"] == first["entry_id"]
    assert len(log.statements) == 1


def test_a_service_that_takes_its_time_is_asked_again(log: FakeScitt) -> None:
    log.later = 3
    assert stated().vcon.analysis[0]["body"]["entry_id"] in log.statements


def test_a_service_that_takes_too_long_is_asked_another_time(log: FakeScitt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scitt_service, "PATIENCE", 0.5)
    log.later = 3
    with pytest.raises(TransientError, match="not done with the statement"):
        stated()


def test_receipts_of_a_hash_chain_are_verified_too(log: FakeScitt) -> None:
    log.chain = True
    assert len(stated().vcon.analysis) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(401, b""), PermanentError, "status 401"),
        (Answer(429, b"", {"Retry-After": "5"}), TransientError, "status 429"),
        (Answer(500, b""), TransientError, "status 500"),
        (Answer(201, b"<html>", {"Location": "/entries/x"}), PermanentError, "no CBOR"),
        (Answer(201, b"x" * 500, cut=True), TransientError, "connection broke"),
        (Answer(202, b""), PermanentError, "does not say under which id"),
    ],
)
def test_each_answer_says_what_comes_next(log: FakeScitt, answer: Answer, kind: type[Exception], told: str) -> None:
    log.service.next.append(answer)
    io = io_of(dict(CALL))
    with pytest.raises(kind, match=told):
        Scitt().process(io, ScittOptions(**OPTIONS))
    assert io.vcon.analysis == []


def test_a_service_that_says_nothing_is_asked_another_time(log: FakeScitt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scitt_service, "SECONDS", 0.3)
    log.service.next.append(Answer(silent=True))
    with pytest.raises(TransientError, match="did not answer within"):
        stated()


def test_a_service_that_is_down_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCITT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="cannot be reached"):
        stated()


def test_an_issuer_that_it_does_not_know_is_a_lasting_fault(log: FakeScitt) -> None:
    with pytest.raises(PermanentError, match="status 400"):
        stated(key_id="key-2")


@pytest.mark.parametrize(
    "told", [b"x", b'{"keys": []}', b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}']
)
def test_a_service_without_keys_proves_nothing(log: FakeScitt, told: bytes) -> None:
    real = log.answer

    def without(asked: Any) -> Answer:
        return Answer(200, told) if asked.path == "/jwks" else real(asked)

    log.service.well = without
    try:
        with pytest.raises(PermanentError, match="service_keys"):
            stated()
    finally:
        log.service.well = real


# --- whether a receipt proves it -------------------------------------------------------------------------------


def test_a_receipt_by_another_key_than_the_operators_proves_nothing() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1()).public_key()
    public = stranger.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(PermanentError, match="proves nothing: its signature is not the service's"):
        stated(service_keys=[public.decode()])


def test_the_operators_key_is_believed_and_no_other_is_asked_for(log: FakeScitt) -> None:
    key = log.key.public_key()
    public = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    stated(service_keys=[public.decode()])
    assert "/jwks" not in [asked.path for asked in log.service.asked]


@settings(max_examples=60)
@given(st.integers(1, 40), st.data())
def test_every_leaf_of_every_tree_is_proven(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) * 32 for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    assert root_of(leaves[index], index, size, path(index, leaves)) == tree(leaves)


@settings(max_examples=60)
@given(st.integers(2, 40), st.data())
def test_no_other_leaf_is_proven_by_it(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) * 32 for number in range(size)]
    index, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    assert root_of(leaves[other], index, size, path(index, leaves)) != tree(leaves)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_receipt_are_refused_and_nothing_falls_over(raw: bytes) -> None:
    with pytest.raises(ReceiptBroken):
        check_receipt(raw, [b"x"], [KEY.public_key()])


_CBOR = st.recursive(
    st.none() | st.integers() | st.binary(max_size=40) | st.text(max_size=5) | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.integers(-3, 400), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100)
@given(_CBOR, _CBOR, _CBOR)
def test_receipts_of_any_shape_are_refused_and_nothing_falls_over(head: Any, unprotected: Any, proof: Any) -> None:
    for shown in (unprotected, {396: {-1: [proof]}}, {396: {-1: [cbor2.dumps(proof)]}}, {396: proof}):
        raw = cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps(head), shown, None, b"x" * 64]))
        with pytest.raises(ReceiptBroken):
            check_receipt(raw, [b"x"], [KEY.public_key()])


def test_a_receipt_of_another_statement_proves_nothing() -> None:
    leaves = [hashlib.sha256(name).digest() for name in (b"a", b"b", b"c")]
    proof = [3, 1, path(1, leaves)]
    check_receipt(receipt(KEY, tree(leaves), proof), [leaves[1]], [KEY.public_key()])
    with pytest.raises(ReceiptBroken):
        check_receipt(receipt(KEY, tree(leaves), proof), [leaves[0]], [KEY.public_key()])


def test_a_receipt_may_hold_the_root_that_it_signs() -> None:
    leaves = [b"\x01" * 32]
    check_receipt(receipt(KEY, tree(leaves), [1, 0, []], payload=tree(leaves)), leaves, [KEY.public_key()])
    with pytest.raises(ReceiptBroken):
        check_receipt(receipt(KEY, tree(leaves), [1, 0, []], payload=b"other"), leaves, [KEY.public_key()])


# --- keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [KEY, ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["256", "384", "ed"],
)
def test_the_same_content_is_the_same_statement(key: Any) -> None:
    assert sign(key, {4: b"k"}, b"payload") == sign(key, {4: b"k"}, b"payload")


def test_a_key_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(KeyUnfit):
        algorithm_of(key)
    monkeypatch.setenv("VCON_KEY_SCITT", pem(key))
    with pytest.raises(NotConfigured, match=r"/signing_key: .*P-256"):
        stated()


def test_a_key_may_be_a_file_of_the_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scitt.pem").write_text(pem(KEY))
    monkeypatch.setenv("VCON_KEYS_DIR", str(tmp_path))
    assert len(stated(signing_key="file:scitt.pem").vcon.analysis) == 1


def test_a_key_in_the_definition_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as raised:
        ScittOptions(signing_key=pem(KEY))
    [fault] = raised.value.errors(include_input=False, include_url=False)
    assert "PRIVATE" not in fault["msg"]


@pytest.mark.parametrize("variable", ["SCITT_URL", "VCON_KEY_SCITT"])
def test_what_is_not_set_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(NotConfigured, match=variable):
        stated()


def test_an_address_is_a_reference() -> None:
    with pytest.raises(ValidationError, match="must be a reference"):
        ScittOptions(scrapi_url="http://scittles:8000")

"""``vcon-platform vcon`` on files and in pipes: nothing is running, and nothing is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner, Result

from tests.commands.conftest import document
from tests.vcon.certificates import Held, made, rsa_key
from vcon_platform.cli import app
from vcon_platform.vcon.media import encode_base64url

Run = Callable[..., Result]
NOW = datetime.now(UTC)
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands where no server answers. An error that is no sentence for the user fails the test."""
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path / "data"))
    for name in ("REDIS_URL", "POSTGRES_URL"):
        monkeypatch.setenv(name, f"{name[:5].lower()}://127.0.0.1:1/0")
    for name in ("VCON_TRUST_DIR", "VCON_DECRYPTION_KEYS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path, input: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], input=input, catch_exceptions=False)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def file(**members: Any) -> Path:
        path = tmp_path / "call.json"
        path.write_bytes(orjson.dumps(document(**members)))
        return path

    return file


class Keys:
    """A root, a signer below it and a reader, as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        start, end = NOW - timedelta(days=1), NOW + timedelta(days=300)
        root = made("root", ca=True, start=start, end=end)
        signer = made("Ada's dialler", root, key=rsa_key(), start=start, end=end)
        reader = made("reader", key=rsa_key(number=1), start=start, end=end)
        self.root = _written(folder / "root.pem", root.certificate.public_bytes(Encoding.PEM))
        self.key, self.chain = _key(folder / "signer.key", signer), _chain(folder / "signer.pem", signer)
        self.reader_key, self.reader = _key(folder / "reader.key", reader), _chain(folder / "reader.pem", reader)
        public = reader.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public = _written(folder / "reader.pub", public)
        sealed = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame"))
        self.sealed = _written(folder / "sealed.key", sealed)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _key(path: Path, held: Held) -> Path:
    return _written(path, held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _chain(path: Path, held: Held) -> Path:
    return _written(path, held.certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def signed(run: Run, keys: Keys, file: Callable[..., Path]) -> bytes:
    done = run("vcon", "sign", file(), "--key", keys.key, "--chain", keys.chain)
    assert done.exit_code == 0, done.output
    return done.stdout_bytes


# --- sign, verify ----------------------------------------------------------------------------------------------------


def test_what_was_signed_is_valid_and_says_by_whom(run: Run, keys: Keys, signed: bytes) -> None:
    told = run("vcon", "verify", "-", "--trust", keys.root, "--json", input=signed)
    judged = json.loads(told.stdout)
    assert (told.exit_code, judged["state"], judged["names"]) == (0, "valid", ["CN=Ada's dialler"])
    assert (len(judged["signer"]), judged["good_until"] > judged["at"]) == (64, True)


def test_the_payload_is_the_file_to_the_byte(run: Run, signed: bytes, tmp_path: Path) -> None:
    assert orjson.loads(signed)["payload"] == encode_base64url((tmp_path / "call.json").read_bytes())


@pytest.mark.parametrize(
    ("tampered", "state"), [(False, "unverified"), (True, "invalid")], ids=["no certificates", "tampered"]
)
def test_a_signature_that_is_not_valid_is_told_and_exits_with_1(
    run: Run, keys: Keys, signed: bytes, tampered: bool, state: str
) -> None:
    if tampered:
        value = orjson.loads(signed)
        inside = orjson.dumps(document(uuid=value["signatures"][0]["header"]["uuid"], subject="another"))
        signed = orjson.dumps({**value, "payload": encode_base64url(inside)})
    told = run("vcon", "verify", "-", *(("--trust", keys.root) if tampered else ()), input=signed)
    assert (told.exit_code, f"signature   {state}: " in told.stdout) == (1, True)
    assert "claims      CN=Ada's dialler" in told.stdout


def test_an_unsigned_one_is_told_as_that(run: Run, file: Callable[..., Path]) -> None:
    told = run("vcon", "verify", file())
    assert (told.exit_code, "none: the document is not signed" in told.stdout) == (1, True)


def test_a_signed_one_is_signed_again_around_it(run: Run, keys: Keys, signed: bytes) -> None:
    options = ("--key", keys.key, "--chain", keys.chain)
    refused = run("vcon", "sign", "-", *options, input=signed)
    assert (refused.exit_code, "--trust" in refused.stderr) == (1, True)
    again = run("vcon", "sign", "-", *options, "--trust", keys.root, input=signed)
    told = json.loads(run("vcon", "verify", "-", "--trust", keys.root, "--json", input=again.stdout_bytes).stdout)
    assert (told["state"], told["layers"]) == ("valid", 2)


def test_a_passphrase_comes_from_the_environment_only(
    run: Run, keys: Keys, file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = ("vcon", "sign", file(), "--key", keys.sealed, "--chain", keys.chain)
    assert run(*sign).exit_code == 2
    typed = run(*sign, "--password", "sesame")
    assert (typed.exit_code, "sesame" in typed.output) == (2, False)
    monkeypatch.setenv("SIGNERS_PASSPHRASE", "sesame")
    assert run(*sign, "--password", "env:SIGNERS_PASSPHRASE").exit_code == 0


def test_what_is_no_vcon_is_not_signed(run: Run, keys: Keys) -> None:
    done = run("vcon", "sign", "-", "--key", keys.key, "--chain", keys.chain, input=b'{"parties": []}')
    assert (done.exit_code, done.stdout, "uuid_required" in done.stderr) == (1, "", True)


# --- encrypt, decrypt ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["reader", "public"], ids=["a certificate", "a public key"])
def test_what_was_encrypted_is_opened_with_the_readers_key_alone(run: Run, keys: Keys, signed: bytes, to: str) -> None:
    sealed = run("vcon", "encrypt", "-", "--to", getattr(keys, to), input=signed)
    assert (sealed.exit_code, b"toaster" in sealed.stdout_bytes) == (0, False)
    opened = run("vcon", "decrypt", "-", "--key", keys.reader_key, input=sealed.stdout_bytes)
    assert opened.stdout_bytes.strip() == signed.strip()
    wrong = run("vcon", "decrypt", "-", "--key", keys.key, input=sealed.stdout_bytes)
    assert (wrong.exit_code, wrong.stdout, "no key here opens it" in wrong.stderr) == (1, "", True)


def test_a_readers_key_with_a_passphrase_asks_for_it(run: Run, keys: Keys, signed: bytes) -> None:
    done = run("vcon", "decrypt", "-", "--key", keys.sealed, input=signed)
    assert (done.exit_code, "--password env:NAME" in done.stderr) == (2, True)


def test_an_encrypted_one_is_verified_through(run: Run, keys: Keys, signed: bytes) -> None:
    sealed = run("vcon", "encrypt", "-", "--to", keys.reader, "--enc", "A256GCM", input=signed).stdout_bytes
    told = run("vcon", "verify", "-", "--trust", keys.root, "--key", keys.reader_key, "--json", input=sealed)
    assert (told.exit_code, json.loads(told.stdout)["form"]) == (0, "encrypted")


def test_an_unsigned_one_is_not_encrypted(run: Run, keys: Keys, file: Callable[..., Path]) -> None:
    done = run("vcon", "encrypt", file(), "--to", keys.reader)
    assert (done.exit_code, "sign it first" in done.stderr) == (1, True)


# --- migrate, report, turns, extract ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.4.0", "0.0.2", "0.0.1", "conserver"])
def test_there_and_back_is_the_same_vcon(run: Run, file: Callable[..., Path], version: str) -> None:
    path = file(attachments=[{"purpose": "tags", "encoding": "json", "body": ["case:17"], "party": 0}])
    there = run("vcon", "migrate", path, "--to", version)
    assert there.exit_code == 0
    back = run("vcon", "migrate", "-", "--to", "current", input=there.stdout_bytes)
    value, came = orjson.loads(back.stdout_bytes), orjson.loads(path.read_bytes())
    assert [value[name] for name in ("uuid", "parties", "dialog", "attachments")] == [
        came[name] for name in ("uuid", "parties", "dialog", "attachments")
    ]


def test_of_a_signed_one_the_vcon_inside_is_migrated(run: Run, signed: bytes) -> None:
    done = run("vcon", "migrate", "-", "--to", "0.0.1", input=signed)
    assert (done.exit_code, orjson.loads(done.stdout_bytes)["vcon"]) == (0, "0.0.1")
    assert "signature_unverified" in done.stderr


def test_a_refused_file_names_every_fault(run: Run) -> None:
    done = run("vcon", "migrate", "-", "--to", "0.4.0", input=orjson.dumps(document(parties=None)))
    assert (done.exit_code, done.stdout, "/dialog/0/parties  bad_index" in done.stderr) == (1, "", True)


def test_a_file_is_reported_on_and_checked(run: Run, file: Callable[..., Path]) -> None:
    good, bad = run("vcon", "report", file(), "--check"), run("vcon", "report", file(vcon="9.9.9"), "--check")
    assert (good.exit_code, "conforms to" in good.stdout) == (0, True)
    assert (bad.exit_code, "does not conform" in bad.stdout) == (1, True)


def test_turns_of_a_pipe(run: Run) -> None:
    [turn] = json.loads(run("vcon", "turns", "-", "--json", input=orjson.dumps(document())).stdout)
    assert (turn["text"], turn["party"]) == ("the toaster burns", 0)


def test_a_body_is_extracted_to_the_byte(run: Run, file: Callable[..., Path], tmp_path: Path) -> None:
    content = bytes(range(256))
    attached = {"mediatype": "application/pdf", "encoding": "base64url", "body": encode_base64url(content)}
    path, out = file(attachments=[attached]), tmp_path / "out.pdf"
    assert run("vcon", "extract", path, "--attachment", "0").stdout_bytes == content
    assert run("vcon", "extract", path, "--attachment", "0", "-o", out).stdout == ""
    assert out.read_bytes() == content
    assert not (tmp_path / "data").exists()


def test_a_body_that_is_outside_is_never_fetched(run: Run, file: Callable[..., Path]) -> None:
    path = file(attachments=[{"url": "https://127.0.0.1:1/recording", "mediatype": "audio/x-wav"}])
    done = run("vcon", "extract", path, "--attachment", "0")
    assert (done.exit_code, "outside url" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "code"),
    [((), 2), (("--dialog", "0", "--analysis", "0"), 2), (("--dialog", "1"), 1), (("--dialog", "-1"), 2)],
)
def test_what_cannot_be_extracted_is_told(
    run: Run, file: Callable[..., Path], options: tuple[str, ...], code: int
) -> None:
    assert run("vcon", "extract", file(), *options).exit_code == code


def test_neither_a_uuid_nor_a_file_is_told(run: Run) -> None:
    done = run("vcon", "turns", "nonsense")
    assert (done.exit_code, "neither a uuid nor a file" in done.stderr) == (2, True)


# --- filter ----------------------------------------------------------------------------------------------------------


def test_a_processor_works_in_a_pipe(run: Run) -> None:
    done = run("vcon", "filter", "tag", "-", "--options", '{"tags": {"case": "17"}}', input=orjson.dumps(document()))
    assert (done.exit_code, done.stderr) == (0, "")
    assert orjson.loads(done.stdout_bytes)["attachments"][0]["body"] == ["case:17"]


def test_what_a_processor_drops_is_not_written(run: Run) -> None:
    words = ("--options", '{"phrases": ["kettle"]}')
    done = run("vcon", "filter", "keyword_filter", "-", *words, input=orjson.dumps(document()))
    assert (done.exit_code, done.stdout, "filtered" in done.stderr) == (1, "", True)
    told = run("vcon", "filter", "keyword_filter", "-", *words, "--json", input=orjson.dumps(document()))
    assert (told.exit_code, json.loads(told.stdout)["verdict"]["ending"]) == (1, "filtered")


def test_wrong_options_and_unknown_processors_are_told(run: Run) -> None:
    wrong = run("vcon", "filter", "tag", "-", "--options", '{"tag": 1}', input=orjson.dumps(document()))
    assert (wrong.exit_code, "/tag" in wrong.stderr) == (2, True)
    assert run("vcon", "filter", "nonsense", "-", input=orjson.dumps(document())).exit_code == 2


# --- new -------------------------------------------------------------------------------------------------------------


def test_a_recording_becomes_a_vcon_that_conforms(run: Run) -> None:
    path = DATA / "two_channels.mp3"
    command = ("vcon", "new", "recording", path, "--start", "2026-11-01T09:00Z")
    people = ("-p", "Ada <+15550100>", "-p", "bob@example.org", "-p", '{"name": "Eve", "role": "agent"}')
    done = run(*command, *people)
    value = orjson.loads(done.stdout_bytes)
    assert value["parties"] == [
        {"name": "Ada", "tel": "+15550100"},
        {"mailto": "bob@example.org"},
        {"name": "Eve", "role": "agent"},
    ]
    [dialog] = value["dialog"]
    assert (dialog["mediatype"], dialog["parties"], dialog["duration"] > 1) == ("audio/mpeg", [0, 1, 2], True)
    assert run("vcon", "report", "-", "--check", input=done.stdout_bytes).exit_code == 0
    assert run("vcon", "extract", "-", "--dialog", "0", input=done.stdout_bytes).stdout_bytes == path.read_bytes()
    assert run(*command, *people).stdout_bytes == done.stdout_bytes


def test_a_recording_is_added_to_a_vcon(run: Run) -> None:
    command = ("vcon", "new", "recording", DATA / "two_channels.mp3", "--start", "2026-11-01T09:00Z", "--into", "-")
    ada = '{"name": "Ada", "tel": "+15550100", "mailto": "ada@example.org"}'
    done = run(*command, "-p", "Bob", "-p", ada, "--url", "https://example.org/a.mp3", input=orjson.dumps(document()))
    value = orjson.loads(done.stdout_bytes)
    dialog = value["dialog"][1]
    assert (len(value["parties"]), dialog["parties"], "body" in dialog) == (2, [1, 0], False)
    assert dialog["content_hash"].startswith("sha512-")


def test_nothing_is_added_to_a_signed_one(run: Run, signed: bytes) -> None:
    path = DATA / "two_channels.mp3"
    done = run("vcon", "new", "recording", path, "--start", "2026-11-01", "--into", "-", input=signed)
    assert (done.exit_code, "vcon migrate" in done.stderr) == (1, True)


def test_what_is_no_recording_is_told(run: Run) -> None:
    done = run("vcon", "new", "recording", "-", "--start", "2026-11-01", input=b"some text")
    assert (done.exit_code, done.stdout, "no recording" in done.stderr) == (1, "", True)


def test_an_email_becomes_a_vcon_whose_turns_can_be_read(run: Run) -> None:
    made = run("vcon", "new", "email", DATA / "message.eml")
    value = orjson.loads(made.stdout_bytes)
    assert [party.get("name", party["mailto"]) for party in value["parties"]] == [
        "Ada Löwe",
        "Bob",
        "carol@example.org",
    ]
    assert (value["subject"], value["dialog"][0]["message_id"]) == ("Grüße", "<abc@example.org>")
    [turn] = json.loads(run("vcon", "turns", "-", "--json", input=made.stdout_bytes).stdout)
    assert (turn["text"], turn["party"]) == ("Hello, the toaster burns.", 0)
    assert run("vcon", "report", "-", "--check", input=made.stdout_bytes).exit_code == 0


def test_what_is_no_email_is_told(run: Run) -> None:
    done = run("vcon", "new", "email", "-", input=b"some text")
    assert (done.exit_code, ".eml" in done.stderr) == (1, True)


def test_of_a_processor_that_makes_a_copy_the_copy_alone_is_written(run: Run) -> None:
    given = document()
    done = run("vcon", "filter", "create_amended", "-", input=orjson.dumps(given))
    assert json.loads(done.stdout)["amended"] == {"uuid": given["uuid"]}
    assert "--json has also what it was made from" in done.stderr

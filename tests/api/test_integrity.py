"""Signing and encrypting over HTTP, as py_vcon_server's clients do it: processor by processor on a stored vCon."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.processors.integrity_support import folders, key_pem, pem, reader, signer
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid

SIGN = {"private_pem_key": "file:signer.pem", "cert_chain_pems": ["file:chain.pem"]}


@pytest.fixture
def client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("VCON_KEYS_DIR", str(folders() / "keys"))
    chosen = settings.model_copy(update={"trust_dir": folders() / "trust"})
    app = create_app(chosen)
    key = settings.secret_path("api_key").read_text().strip()
    return TestClient(app, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def uuid(client: TestClient) -> str:
    sent = {"vcon": "0.0.2", "uuid": new_uuid(), "created_at": "2026-11-02T09:00:00+00:00", "parties": [{"name": "A"}]}
    assert client.post("/vcon", json=sent).status_code == 204
    return str(sent["uuid"])


def run(client: TestClient, uuid: str, name: str, options: dict[str, Any], **how: Any) -> Any:
    return client.post(f"/process/{uuid}/{name}?commit_changes=true", json=options, **how)


def test_a_vcon_goes_from_form_to_form_and_back(client: TestClient, uuid: str) -> None:
    signed = run(client, uuid, "sign", SIGN)
    assert signed.status_code == 200, signed.text
    assert set(signed.json()["vcons"][0]) == {"payload", "signatures"}
    assert signed.json()["vcons_modified"] == [True]
    stored = client.get(f"/vcon/{uuid}").json()
    assert stored == signed.json()["vcons"][0]

    locked = run(client, uuid, "encrypt", {"public_pem_key": pem(reader())}).json()
    assert set(locked["vcons"][0]) >= {"ciphertext", "recipients"}
    assert client.get(f"/vcon/{uuid}").json() == locked["vcons"][0]

    opened = run(client, uuid, "decrypt", {"private_pem_key": "file:reader.pem"}).json()
    assert opened["vcons"][0] == stored
    told = run(client, uuid, "verify", {}).json()
    assert told["parameters"]["verify"]["signature"] == "valid"


def test_a_private_key_in_a_request_is_refused_with_the_cure_and_not_repeated(client: TestClient, uuid: str) -> None:
    answer = run(client, uuid, "sign", {"private_pem_key": key_pem(signer()).decode(), "cert_chain_pems": []})
    assert answer.status_code == 422
    assert "file:NAME" in answer.text
    assert "PRIVATE" not in answer.text
    assert "MII" not in answer.text


@pytest.mark.parametrize(("name", "options"), [("sign", SIGN), ("encrypt", {"public_pem_key": pem(reader())})])
def test_the_wrong_state_is_a_conflict(client: TestClient, uuid: str, name: str, options: dict[str, Any]) -> None:
    if name == "sign":
        run(client, uuid, "sign", SIGN)
    answer = run(client, uuid, name, options)
    assert answer.status_code == 409
    assert answer.json()["exception_class"] == "InvalidVconState"

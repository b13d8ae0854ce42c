"""Sessions of clients that know nothing of us, over a socket, each in the way it speaks to its own server: py_vcon's
command line and pipeline editor, the package ``vcon``, the conserver's adapters, scripts and followers."""

from __future__ import annotations

import http.client
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support import child, eventually, free_port
from vcon_platform.access.keys import KeyStore
from vcon_platform.services.programs import api_command
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import ENV_FILE_VARIABLE, Settings
from vcon_platform.store.connection import connect
from vcon_platform.vcon.uuids import new_uuid

CHAIN = {
    "pipeline_options": {"feeds": ["calls"], "success_queue": "finished"},
    "processors": [{"processor_name": "set_parameters", "processor_options": {"parameters": {"team": "night"}}}],
}


@dataclass(frozen=True)
class Running:
    """A server that answers, and its administrator's key."""

    port: int
    key: str
    settings: Settings

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> dict[str, str]:
        return {"x-conserver-api-token": self.key}


@pytest.fixture(scope="module")
def running(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sessions")
    (folder / "definitions").mkdir()
    (folder / "definitions" / "chain.json").write_text(json.dumps(CHAIN))
    settings = Settings(_env_file=None, data_dir_setting=folder / "data", redis_url_setting=redis_server.url)
    connect(redis_server.url).flushall()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VCON_")},
        ENV_FILE_VARIABLE: "",
        "VCON_DATA_DIR": str(folder / "data"),
        "VCON_PIPELINES_DIR": str(folder / "definitions"),
        "REDIS_URL": redis_server.url,
    }
    port = free_port()
    command = [sys.executable, "-W", "ignore", *api_command(port)]
    with child(command, folder / "api.log", env=environment, cwd=Path.cwd()):
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=5).status_code == 200, 60)
        yield Running(port, settings.secret_path("api_key").read_text().strip(), settings)


def document(**members: Any) -> dict[str, Any]:
    """As py-vcon 0.6.0 writes one."""
    return {
        "vcon": "0.0.2",
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00.000+00:00",
        "parties": [{"tel": "+16175550100"}, {"name": "Bob"}],
        "dialog": [],
        "analysis": [],
        "attachments": [],
        **members,
    }


# --- py_vcon_server's clients ----------------------------------------------------------------------------------


class PyVconCli:
    """``vcon -p HOST PORT`` and ``vcon -g HOST PORT UUID``: plain http.client, no key but in the address."""

    def __init__(self, running: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", running.port)
        self._basic = {"Authorization": f"Basic {b64encode(f':{running.key}'.encode()).decode()}"}

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", **self._basic}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post(self, vcon: dict[str, Any]) -> int:
        return self._ask("POST", "/vcon", json.dumps(vcon))[0]

    def get(self, uuid: str) -> dict[str, Any]:
        status, body = self._ask("GET", f"/vcon/{uuid}")
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        assert found["vcon"] in ("0.0.1", "0.0.2")  # its library refuses every other
        return found


@pytest.mark.parametrize("version", ["0.0.1", "0.0.2"])
def test_py_vcons_command_line_posts_and_gets(running: Running, version: str) -> None:
    cli, vcon = PyVconCli(running), document(vcon=version)
    assert cli.post(vcon) == 204
    assert cli.get(vcon["uuid"]) == {"group": [], "redacted": {}, **vcon}
    added = {**vcon, "analysis": [{"type": "summary", "dialog": [], "vendor": "x", "body": "y", "encoding": "none"}]}
    assert cli.post(added) == 204, "what it posts again replaces what was there"
    assert cli.get(vcon["uuid"])["analysis"][0]["body"] == "y"


def test_py_vcons_editor_makes_and_tries_a_pipeline_step_by_step(running: Running) -> None:
    with httpx.Client(base_url=running.address, auth=("", running.key), timeout=60) as editor:
        paths = editor.get("/openapi.json").json()["paths"]
        names = [path.rpartition("/")[2] for path in paths if path.startswith("/processIO/")]
        assert {"jq", "set_parameters", "openai_chat_completion"} <= set(names)
        for server in editor.get("/servers").json().values():
            assert {"host", "port", "pid", "state", "last_heartbeat"} <= set(server)
        assert "chain" in editor.get("/server/queues").json()
        assert "chain" in editor.get("/queues").json()
        assert editor.get("/queue/chain").json() == []
        assert editor.get("/in_progress").json() == {}
        steps = [
            ("set_parameters", {"parameters": {"who": "Bob"}}),
            ("jq", {"jq_queries": {"names": ".vcons[0].parties"}}),
        ]
        io: dict[str, Any] = {"vcons": [document()], "parameters": {}}
        for name, options in steps:  # the step-by-step run hands each step's output to the next
            body = {"processor_io": io, "processor_options": options}
            io = editor.post(f"/processIO/{name}", json=body).raise_for_status().json()
        assert io["parameters"] == {"who": "Bob", "names": [{"tel": "+16175550100"}, {"name": "Bob"}]}
        definition = {
            "pipeline_options": {"save_vcons": False},
            "processors": [{"processor_name": name, "processor_options": options} for name, options in steps],
        }
        assert editor.put("/pipeline/tried", json=definition).status_code == 204
        eventually(lambda: "tried" in editor.get("/pipelines").json(), 20)
        assert len(editor.get("/pipeline/tried").json()["processors"]) == 2
        ran = editor.post("/pipeline/tried/run", json=document()).json()
        assert ran["parameters"] == io["parameters"]
        assert editor.delete("/pipeline/tried").status_code == 204


def test_a_script_of_py_vcon_servers_works_a_queue(running: Running) -> None:
    with httpx.Client(base_url=running.address, auth=("", running.key), timeout=60) as script:
        vcon = document()
        assert script.post("/vcon", json=vcon).status_code == 204
        assert script.post("/queue/by_hand").status_code == 204
        assert script.put("/queue/by_hand", json={"vcon_uuid": [vcon["uuid"]]}).json() == 1
        assert script.get("/queue/by_hand").json() == [{"job_type": "vcon_uuid", "vcon_uuid": [vcon["uuid"]]}]
        told = script.post(f"/process/{vcon['uuid']}/create_amended?commit_changes=true", json={}).json()
        amended = told["vcons"][1]
        assert script.get(f"/vcon/{amended['uuid']}/jq", params={"jq_transform": ".uuid"}).json() == [amended["uuid"]]
        assert script.delete("/queue/by_hand").json()[0]["vcon_uuid"] == [vcon["uuid"]]
        for uuid in (vcon["uuid"], amended["uuid"], vcon["uuid"]):
            assert script.delete(f"/vcon/{uuid}").status_code == 204
        assert script.get(f"/vcon/{vcon['uuid']}").json()["detail"] == f"vCon UUID: {vcon['uuid']} not found"


# --- the package vcon ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/vcon", "/v1/vcons", "/vcon"])
def test_the_package_vcon_posts_and_loads(running: Running, path: str) -> None:
    from vcon import Vcon
    from vcon.party import Party

    made = Vcon.build_new()
    made.add_party(Party(tel="+16175550100", name="Alice"))
    answer = made.post_to_url(f"{running.address}{path}", headers=running.token)
    assert answer.status_code in (201, 202, 204)
    loaded = Vcon.load_from_url(f"http://:{running.key}@127.0.0.1:{running.port}{path}/{made.uuid}")
    assert (loaded.uuid, loaded.parties[0]["name"]) == (made.uuid, "Alice")


# --- the conserver's clients -----------------------------------------------------------------------------------


def test_the_conservers_adapter_posts_as_long_as_there_is_room_and_a_script_takes_out(running: Running) -> None:
    """An adapter: back-pressure, post into lists with commas, answer has the uuid. A script: egress, get, delete."""
    with httpx.Client(base_url=f"{running.address}/api", headers=running.token, timeout=60) as client:
        depth = client.get("/stats/queue", params={"list_name": "calls"}).json()["depth"]
        sent = [document(uuid=str(uuid4()).upper(), vcon="0.0.1") for _ in range(3)]
        uuids = [
            client.post("/vcon?ingress_lists=chain,calls", json=each).raise_for_status().json()["uuid"] for each in sent
        ]
        assert uuids == [each["uuid"].lower() for each in sent]
        assert client.get("/stats/queue", params={"list_name": "calls"}).json()["depth"] == depth + 3
        assert set(uuids) <= set(client.get("/vcon", params={"page": 1, "size": 50}).json())
        assert set(uuids) <= set(client.get("/vcons/search", params={"tel": "+16175550100"}).json())
        assert client.post("/vcon/ingress?ingress_list=finished", json=uuids).status_code == 204
        assert client.get("/vcon/count?egress_list=finished").json() == 3
        taken: list[str] = []
        while popped := client.get("/vcon/egress?egress_list=finished&limit=2").json():
            taken += popped
        assert taken == uuids
        assert [each["uuid"] for each in client.get("/vcons", params={"vcon_uuids": uuids}).json()] == uuids
        assert {client.delete(f"/vcon/{uuid}").status_code for uuid in (*uuids, uuids[0])} == {204}
        assert client.get("/vcons", params={"vcon_uuids": uuids}).json() == [None] * 3
        assert not set(uuids) & set(client.get("/vcon", params={"size": -1}).json())


def test_a_follower_fetches_what_another_conserver_hands_out(running: Running) -> None:
    with httpx.Client(base_url=f"{running.address}/api", headers=running.token, timeout=60) as follower:
        uuid = follower.post("/vcon", json=document()).json()["uuid"]
        follower.post("/vcon/ingress?ingress_list=finished", json=[uuid])
        for found in follower.get("/vcon/egress?egress_list=finished&limit=10").json():
            assert follower.get(f"/vcon/{found}").json()["uuid"] == uuid


def test_a_partner_hands_in_by_a_lists_own_key_and_an_operator_looks_after(running: Running) -> None:
    _, text = KeyStore(connect(running.settings.redis_url())).create("partner", ["ingest:calls"])
    partner = {"x-conserver-api-token": text}
    address = f"{running.address}/api"
    posted = httpx.post(f"{address}/vcon/external-ingress?ingress_list=calls", json=document(), headers=partner)
    assert posted.status_code == 204
    refused = httpx.post(f"{address}/vcon/external-ingress?ingress_list=chain", json=document(), headers=partner)
    assert refused.json() == {"detail": "Invalid API Key for ingress list 'chain'"}
    assert httpx.get(f"{address}/vcon").json() == {"detail": "Invalid API Key"}
    for path in ("version", "health", "config", "dlq?ingress_list=chain", "dlq/storage?storage_name=webhook"):
        assert httpx.get(f"{address}/{path}", headers=running.token).status_code == 200
    for path in ("dlq/reprocess?ingress_list=chain", "dlq/storage/reprocess?storage_name=webhook"):
        assert httpx.post(f"{address}/{path}", headers=running.token).json() == 0

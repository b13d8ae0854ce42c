"""What leaves the platform, through the engine: a webhook gets the conversation as it was at its step, mails bring the
recording along, and what a diet took out is still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from tests.fakes.services import Answer, Service, service
from tests.fakes.smtp import FakeSmtp
from tests.pipelines.support import engine
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.diet import Diet
from vcon_platform.processors.expire import Expire
from vcon_platform.processors.registry import Registry
from vcon_platform.processors.send_email import SendEmail
from vcon_platform.processors.webhook import Webhook
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.identity import identify
from vcon_platform.store.jobs import new_job
from vcon_platform.store.media import reference
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.uuids import new_uuid

REGISTRY = Registry({cls.name: cls for cls in (Webhook, Diet, Expire, SendEmail)})
SOUND = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(2000)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service(lambda _: Answer(200, {})) as fake:
        monkeypatch.setenv("WEBHOOK_DESK", f"{fake.url}/in")
        yield fake


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    made = engine(redis_client, tmp_path, parts={"registry": REGISTRY, "outbox": effects_outbox(redis_client)})
    identify(redis_client, made.documents.archive.objects)  # its media come before its first vCon
    return made


def pipeline(*steps: tuple[str, dict[str, Any]], **options: Any) -> Definition:
    processors = [{"processor_name": name, "processor_options": chosen} for name, chosen in steps]
    return read_definition("out", {"pipeline_options": options, "processors": processors}, REGISTRY)


def call(work: Engine) -> str:
    """A call, stored and queued, whose recording stands beside the document."""
    token = work._media.keep_chunks([SOUND])
    data = {
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00+00:00",
        "parties": [{"name": "Alice"}],
        "dialog": [{"type": "recording", "parties": [0], "mediatype": "audio/x-wav", **reference(token)}],
        "analysis": [{"type": "summary", "dialog": 0, "body": "All is well.", "encoding": "none"}],
    }
    [(uuid, _)] = work.documents.create([NewVcon(Vcon(data), queues=["out"])])
    return uuid


def run(work: Engine, definition: Definition) -> Any:
    name = new_uuid()
    batch = work.open(definition, batch_id=name, owner=name, limit=100)
    for position, step in enumerate(definition.steps):
        work.step(batch, position, step)
    counts = work.settle(definition, batch).counts
    work.deliver(100)
    return counts


TO_DESK = ("webhook", {"urls": ["env:WEBHOOK_DESK"]})
DIET = ("diet", {"remove_dialog_body": True, "remove_analysis": True})


def test_a_webhook_before_a_diet_gets_the_whole_conversation(work: Engine, desk: Service) -> None:
    uuid = call(work)
    assert run(work, pipeline(TO_DESK, DIET)) == {"done": 1}
    sent = orjson.loads(desk.asked[0].body)
    assert (sent["uuid"], sent["dialog"][0]["body"]) == (uuid, encode_base64url(SOUND))
    assert sent["analysis"][0]["body"] == "All is well."


def test_a_webhook_after_a_diet_gets_what_is_left(work: Engine, desk: Service) -> None:
    call(work)
    run(work, pipeline(DIET, TO_DESK))
    sent = orjson.loads(desk.asked[0].body)
    assert "body" not in sent["dialog"][0]
    assert sent["analysis"] == []


def test_what_a_diet_took_out_is_in_the_archive_and_the_media_store(work: Engine) -> None:
    uuid = call(work)
    run(work, pipeline(DIET))
    now = work.documents.read_one(uuid)
    assert (now.revision, now.analysis) == (2, [])
    first = orjson.loads(work.documents.history(uuid).records[0].view or b"")
    assert first["analysis"][0]["body"] == "All is well."
    assert work._media.body(first["dialog"][0]) == SOUND


def test_a_pipeline_that_keeps_nothing_sends_what_it_made(work: Engine, desk: Service) -> None:
    uuid = call(work)
    run(work, pipeline(DIET, TO_DESK, save_vcons=False))
    assert orjson.loads(desk.asked[0].body)["analysis"] == []
    assert work.documents.read_one(uuid).revision == 1


def test_the_same_conversation_is_posted_once_however_often_it_is_run(work: Engine, desk: Service) -> None:
    uuid = call(work)
    run(work, pipeline(TO_DESK, DIET))
    work.queues.push("out", [new_job(uuid)])
    run(work, pipeline(TO_DESK, DIET))
    assert len(desk.asked) == 1


def test_a_mail_brings_the_recording_along(work: Engine) -> None:
    call(work)
    with FakeSmtp() as server:
        mail = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "from_address": "a@vcon.dev", "to": ["b@vcon.dev"]}
        run(work, pipeline(("send_email", {**mail, "attach_dialogs": ""}), DIET))
        [part] = server.mails[0].message.iter_attachments()
    assert part.get_content() == SOUND


def test_a_document_leaves_redis_at_its_time(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    run(work, pipeline(("expire", {"seconds": 500}), DIET))
    assert 400 < redis_client.ttl(keys.document(uuid)) <= 500
    redis_client.delete(keys.document(uuid))
    assert work.documents.read_one(uuid).revision == 2

"""The whole way: heard, summed up, redacted, sent on; through the engine, real clients and the wires of paid services.

Belongs here: what several processors and the platform owe each other. Not here: what one of them does.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from tests.fakes import deepgram, model_api
from tests.fakes.services import Answer, Service, service
from tests.pipelines.purchase_support import purchasing
from tests.pipelines.support import engine
from tests.processors.support import WHICH_PRODUCT
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.pipelines.batch import Settled
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.registry import load_processors
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.jobs import new_job
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.uuids import new_uuid

PRICES = """
currency: EUR
services:
  deepgram: {nova-3: {per_minute: 0.6}}
  openai: {"*": {per_call: 0.001}}
"""
REGISTRY = load_processors()
CARD = "four one one one one one one one one one one one one one one one"
SAID = ((0, f"Hello, my card number is {CARD}."), (1, "Thank you."))


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with deepgram.fake_deepgram(SAID) as fake:
        monkeypatch.setenv("DEEPGRAM_KEY", deepgram.KEY)
        monkeypatch.setenv("DEEPGRAM_BASE_URL", fake.url)
        yield fake


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with model_api.fake_openai("A customer pays by card.") as fake:
        monkeypatch.setenv("OPENAI_API_KEY", model_api.KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        yield fake


@pytest.fixture(autouse=True)
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Where the copies are posted to."""
    with service(lambda _: Answer(200, {})) as fake:
        monkeypatch.setenv("WEBHOOK_NOTES", f"{fake.url}/in")
        monkeypatch.setenv("WEBHOOK_SECRET", "a secret of ours")
        yield fake


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    (tmp_path / "prices.yaml").write_text(PRICES)
    parts = {
        "purchasing": purchasing(redis_client, tmp_path),
        "registry": REGISTRY,
        "outbox": effects_outbox(redis_client),
    }
    return engine(redis_client, tmp_path, parts=parts)


def whole(**options: Any) -> Definition:
    """Heard, summed up, redacted; the redacted copy is posted."""
    steps: list[tuple[str, dict[str, Any]]] = [
        ("transcribe", {"engine": "deepgram"}),
        ("summarise", {"model": "gpt-test"}),
        ("redact_text", {"keep_analyses": ["summary"]}),
        ("webhook", {"input_vcon_index": 1, "urls": ["env:WEBHOOK_NOTES"], "signing_secret": "env:WEBHOOK_SECRET"}),
    ]
    processors = [{"processor_name": name, "processor_options": chosen} for name, chosen in steps]
    return read_definition("notes", {"pipeline_options": options, "processors": processors}, REGISTRY)


def call(work: Engine) -> str:
    """A recorded call, stored and queued."""
    recording = {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "duration": 4,
        "parties": [0, 1],
        "mediatype": "audio/mpeg",
        "body": encode_base64url(WHICH_PRODUCT.read_bytes()),
        "encoding": "base64url",
    }
    vcon = Vcon(
        {
            "uuid": new_uuid(),
            "created_at": "2026-11-02T09:00:00+00:00",
            "parties": [{"name": "Alice"}, {"name": "Bob"}],
            "dialog": [recording],
            "analysis": [],
            "attachments": [],
        }
    )
    [(uuid, _)] = work.documents.create([NewVcon(vcon, queues=["notes"])])
    return uuid


def uuids(client: Redis) -> list[str]:
    """All vCons of the store."""
    return [key.decode().removeprefix("vcon:") for key in cast("list[bytes]", client.zrange(keys.LISTING, 0, -1))]


def run(work: Engine, pipeline: Definition) -> Settled:
    """What waits, through all steps."""
    name = new_uuid()
    batch = work.open(pipeline, batch_id=name, owner=name, limit=100)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    return work.settle(pipeline, batch)


@pytest.mark.usefixtures("ears", "brain")
def test_a_call_is_heard_and_summed_up(work: Engine) -> None:
    uuid = call(work)
    assert run(work, whole()).counts == {"done": 1}
    analysis = {each["type"]: each for each in work.documents.read_one(uuid).analysis}
    assert analysis["transcript"]["vendor"] == "deepgram"
    assert analysis["summary"]["body"] == "A customer pays by card."


@pytest.mark.usefixtures("ears", "brain")
def test_the_copy_has_the_summary_and_not_the_card(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    run(work, whole())
    [copy] = [work.documents.read_one(each) for each in uuids(redis_client) if each != uuid]
    assert copy.data["redacted"]["uuid"] == uuid
    assert "A customer pays by card." in [each.get("body") for each in copy.analysis]
    told = copy.to_bytes().decode()
    assert "one one one" not in told
    assert "Alice" not in told
    assert "one one one" in work.documents.read_one(uuid).to_bytes().decode()


@pytest.mark.usefixtures("ears", "brain")
def test_what_is_posted_is_the_copy_signed_and_once(work: Engine, redis_client: Redis, desk: Service) -> None:
    uuid = call(work)
    desk.next.append(Answer(503, {}))
    run(work, whole())
    assert desk.asked == []  # nothing leaves before the conversation is settled
    work.deliver(10)
    [later] = effects_outbox(redis_client).entries("later", 10)
    effects_outbox(redis_client).resend(later.key)
    for _ in range(3):
        work.deliver(10)
    refused, taken = desk.asked
    assert orjson.loads(taken.body)["redacted"]["uuid"] == uuid
    assert b"one one one" not in taken.body
    assert "webhook-signature" in taken.headers
    assert refused.headers["idempotency-key"] == taken.headers["idempotency-key"]


@pytest.mark.usefixtures("ears", "brain")
def test_the_ledger_says_what_happened_in_which_order_and_what_it_cost(
    work: Engine, redis_client: Redis, postgres_url: str
) -> None:
    uuid, ledger = call(work), Ledger(postgres_url)
    run(work, whole())
    ship_all(redis_client, ledger)
    told = [(each.event.value, each.processor) for each in ledger.events_of(uuid)]
    assert [each for each in told if each[0] == "used"] == [("used", "transcribe"), ("used", "summarise")]
    assert told[-1] == ("done", None)
    sums = {each.name: each for each in ledger.usage("processor")}
    assert sums["transcribe"].seconds > 0
    assert sums["summarise"].prices == {"EUR": Decimal("0.001")}


def test_doing_it_again_buys_nothing_again(work: Engine, ears: Service, brain: Service) -> None:
    uuid = call(work)
    run(work, whole())
    asked = len(ears.asked), len(brain.asked)
    other = call(work)  # another conversation with the same recording
    work.queues.push("notes", [new_job(uuid)])
    assert run(work, whole()).counts == {"done": 2}
    assert (len(ears.asked), len(brain.asked)) == asked
    assert [each["type"] for each in work.documents.read_one(other).analysis] == ["transcript", "summary"]


def test_a_service_that_is_down_does_not_make_the_ones_before_it_be_paid_again(
    work: Engine, ears: Service, brain: Service
) -> None:
    call(work)
    brain.next.extend(Answer(503, {"error": {"message": "down"}}) for _ in range(40))
    assert run(work, whole(retries=0)).counts == {"failed": 1}
    brain.next.clear()
    [dead] = work.queues.dead("notes")
    batch = work.redrive(whole(), failed_in={dead.batch_id}, batch_id="again", owner="again")
    for position, step in enumerate(whole().steps):
        work.step(batch, position, step)
    assert work.settle(whole(), batch).counts == {"done": 1}
    assert len(ears.asked) == 1


def test_a_budget_that_is_used_up_halfway_stops_there_and_nothing_is_lost(
    work: Engine, ears: Service, brain: Service
) -> None:
    uuid = call(work)
    tight, wide = ({"per": "total", "price": price} for price in (0.0001, 1))
    assert run(work, whole(budget=tight)).counts == {"failed": 1}
    [dead] = work.queues.dead("notes")
    assert (dead.code, dead.processor) == ("budget_exhausted", "summarise")
    assert (len(ears.asked), len(brain.asked)) == (1, 0)
    work.queues.push("notes", [new_job(uuid)])
    assert run(work, whole(budget=wide)).counts == {"done": 1}
    assert (len(ears.asked), len(brain.asked)) == (1, 1)

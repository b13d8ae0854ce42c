"""Many jobs through the real processes: weights, an urgent job behind a backlog, a definition edited under load, the
stream lane's hand-over, what stops a run that does not end, and kill -9 after which every job has ended once.

A platform of its own with pipelines of its own; the tests keep their order.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import redis
from sqlalchemy import text

from tests.e2e.conftest import started
from tests.e2e.platform import Platform
from tests.fakes.smtp import FakeSmtp
from tests.support import eventually
from vcon_platform.ingress.answer import Source
from vcon_platform.ingress.door import Door
from vcon_platform.ledger.events import EventKind
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration.naming import PIPELINE_TAG
from vcon_platform.store.effects import EffectsOutbox
from vcon_platform.store.jobs import new_job
from vcon_platform.store.opening import open_store
from vcon_platform.vcon.uuids import new_uuid

pytestmark = pytest.mark.e2e
PATIENCE = 240.0


def trivial(**options: Any) -> dict[str, Any]:
    step = {"processor_name": "set_parameters", "processor_options": {"parameters": {"seen": True}}}
    return {"pipeline_options": options, "processors": [step]}


def flow(smtp_port: int) -> dict[str, Any]:
    """Four processors: some conversations cannot be done, some enter a further queue, each that is done is mailed."""
    ask = 'if (.vcons[0].subject | startswith("broken")) then error("broken") else .vcons[0].subject end'
    return {
        "pipeline_options": {"batch_size": 200, "retries": 1, "retry_wait": 1},
        "processors": [
            {"processor_name": "set_parameters", "processor_options": {"parameters": {"team": "night"}}},
            {
                "processor_name": "jq",
                "processor_options": {
                    "jq_queries": {
                        "topic": ask,
                        "bad": '.vcons[0].subject | startswith("bad")',
                        "uuid": ".vcons[0].uuid",
                    }
                },
            },
            {
                "processor_name": "queue_job",
                "processor_options": {"queue_name": "bad_calls", "format_options": {"should_process": "{bad}"}},
            },
            {
                "processor_name": "send_email",
                "processor_options": {
                    "smtp_host": "127.0.0.1",
                    "smtp_port": smtp_port,
                    "from_address": "platform@example.org",
                    "to": ["desk@example.org"],
                    "format_options": {"subject": "{uuid}", "text_body": "{team}: {topic}"},
                },
            },
        ],
    }


SLEEPERS = """
import time
from vcon_platform.processors.base import Effects, Processor, ProcessorOptions

class Blocker(Processor[ProcessorOptions]):
    name, version, title, description = "blocker", "1", "Blocker", "Blocks for ten minutes."

    def process(self, io, options):
        time.sleep(600)
        return io

class Waiter(Blocker):
    name, effects = "waiter", Effects(network=True)
"""


def install_sleepers(folder: Path) -> None:
    """A plugin package as pip would leave it, with processors that do not come to an end."""
    (folder / "sleepers.py").write_text(SLEEPERS)
    info = folder / "sleepers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sleepers\nVersion: 1.0\n")
    points = ("[vcon_platform.processors]", "blocker = sleepers:Blocker", "waiter = sleepers:Waiter")
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")


@pytest.fixture(scope="module")
def smtp() -> Iterator[FakeSmtp]:
    with FakeSmtp() as server:
        yield server


@pytest.fixture(scope="module")
def many(smtp: FakeSmtp) -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="vcon-pipelines-", dir="/tmp") as folder:
        definitions = {
            "one": trivial(weight=1, batch_size=400),
            "four": trivial(weight=4, batch_size=400),
            "two": trivial(weight=2, batch_size=400),
            "bulk": trivial(batch_size=1000),
            "quick": trivial(lane="stream", stream_seconds=20),  # a busy machine starts a run in ten
            "flow": flow(smtp.port),
            "limited": {"processors": [{"processor_name": "blocker", "processor_options": {"timeout": 1}}]},
            "endless": {"processors": [{"processor_name": "waiter", "processor_options": {}}]},
        }
        for name, definition in definitions.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps({"pipeline_options": {}, **definition}))
        plugins = Path(folder) / "plugins"
        plugins.mkdir()
        install_sleepers(plugins)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PYTHONPATH", str(plugins))
            with started(pipelines_dir_setting=Path(folder), max_attempts=50, lease_seconds=6) as platform:
                yield platform


def conversations(platform: Platform, count: int, queues: Sequence[str], subject: str = "a call") -> list[str]:
    """So many new vCons, entered into these queues."""
    store = open_store(platform.settings, client=platform.redis)
    raws = [
        orjson.dumps(
            {
                "uuid": new_uuid(),
                "created_at": "2026-11-02T09:00:00+00:00",
                "subject": subject,
                "parties": [{"tel": "+16175550100"}],
                "dialog": [],
            }
        )
        for _ in range(count)
    ]
    taken = list(Door(store.documents, store.media).take_many(raws, Source("test", tuple(queues))))
    return [answer.uuid for answer in taken]  # type: ignore[union-attr]


def told(platform: Platform, pipeline: str) -> Counter[tuple[str, str]]:
    """(uuid, kind of event) to how often the ledger has it for this pipeline."""
    ship_all(platform.redis, Ledger(platform.engine))
    with platform.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT vcon_uuid::text, event FROM ledger.events WHERE pipeline = :pipeline"), {"pipeline": pipeline}
        )
        return Counter((uuid, event) for uuid, event in rows)


def ended(platform: Platform, pipeline: str) -> int:
    return sum(n for (_, kind), n in told(platform, pipeline).items() if kind in (EventKind.DONE, EventKind.FILTERED))


def at_rest(platform: Platform, pipeline: str) -> bool:
    """Nothing waits for this pipeline and nothing is leased from it."""
    state = platform.queues.state([pipeline])[pipeline]
    return not (state.urgent or state.normal or state.low or state.later or state.leased)


def test_queues_are_drained_in_proportion_to_their_weights(many: Platform) -> None:
    names = ("one", "four", "two")
    for name in names:
        many.queues.pause(name)
    conversations(many, 1200, names)
    for name in names:
        many.queues.resume(name)
    left: dict[str, int] = {}

    def drained() -> bool:
        left.update({name: state.normal for name, state in many.queues.state(names).items()})
        return left["four"] == 0

    eventually(drained, PATIENCE, 0.2, "the heaviest queue is drained")
    served = {name: 1200 - left[name] for name in names}
    quantum = 400
    assert abs(served["two"] - 600) <= quantum
    assert abs(served["one"] - 300) <= quantum
    assert served["one"] < served["two"] < served["four"]
    for name in names:
        many.queues.purge(name)  # what is left has nothing more to show


def test_a_late_urgent_job_overtakes_a_backlog(many: Platform) -> None:
    conversations(many, 4000, ["bulk"])
    eventually(lambda: many.queues.state(["bulk"])["bulk"].leased, PATIENCE, 0.1, "the backlog is being worked on")
    [urgent] = conversations(many, 1, [])
    many.queues.push("bulk", [new_job(urgent, priority="urgent")])
    began = time.monotonic()
    eventually(lambda: many.kinds(urgent).count(EventKind.DONE) == 1, PATIENCE, 0.5, "the urgent conversation is done")
    assert not at_rest(many, "bulk")
    assert time.monotonic() - began < 60
    eventually(lambda: at_rest(many, "bulk"), PATIENCE, 0.5, "the backlog is done")
    assert ended(many, "bulk") == 4001


def test_a_pipeline_edited_under_load_ends_every_job_on_one_version(many: Platform) -> None:
    def put(parameters: dict[str, Any]) -> None:
        step = {"processor_name": "set_parameters", "processor_options": {"parameters": parameters}}
        file = Path(many.settings.data_dir) / "steady.json"
        file.write_text(json.dumps({"pipeline_options": {"batch_size": 200}, "processors": [step, step]}))
        done = many.cli("pipelines", "put", str(file), "--wait", "200")  # a busy machine loads in more than 30 s
        assert done.returncode == 0, done.stderr + done.stdout

    put({"version": 1})
    uuids = conversations(many, 400, ["steady"])
    eventually(lambda: many.queues.state(["steady"])["steady"].leased, PATIENCE, 0.1, "the first run is at work")
    put({"version": 2})
    uuids += conversations(many, 200, ["steady"])
    eventually(lambda: at_rest(many, "steady"), PATIENCE, 0.5, "all is done")
    versions: set[str | None] = set()
    for uuid in uuids[::10]:
        story = [event for event in many.story(uuid) if event.pipeline == "steady"]
        assert [event.event for event in story].count(EventKind.DONE) == 1
        assert len({event.pipeline_version for event in story}) == 1
        versions.add(story[0].pipeline_version)
    assert len(versions) == 2
    assert ended(many, "steady") == 600


def test_a_stream_run_is_followed_by_another_without_a_gap_or_a_double(many: Platform) -> None:
    seen: set[str] = set()
    sent: list[str] = []

    def two_runs() -> bool:
        [uuid] = conversations(many, 1, ["quick"])
        eventually(lambda: at_rest(many, "quick"), PATIENCE, 0.01, "the conversation is done")
        sent.append(uuid)
        seen.update(run.id for run in many.dagster.runs({PIPELINE_TAG: "quick"}) if run.status == "STARTED")
        return len(seen) >= 3

    eventually(two_runs, PATIENCE, 0.2, "three runs have followed each other")
    runs = [run for run in many.dagster.runs({PIPELINE_TAG: "quick"}) if run.id in seen]
    times = sorted((run.started or math.inf, run.ended or math.inf) for run in runs)
    assert all(later[0] <= earlier[1] for earlier, later in pairwise(times))
    counts = told(many, "quick")
    assert all(counts[(uuid, EventKind.DONE)] == 1 for uuid in sent)


def test_a_processor_that_blocks_is_stopped_by_its_time_limit(many: Platform) -> None:
    blocked = conversations(many, 3, ["limited"])
    eventually(lambda: len(many.queues.dead("limited")) == 3, 60, 0.2, "they are given up")
    dead = many.queues.dead("limited")
    assert sorted(each.job.vcon_uuids[0] for each in dead) == sorted(blocked)
    assert {each.code for each in dead} == {"timeout"}


def test_terminating_a_run_gives_its_jobs_back_at_once(many: Platform) -> None:
    waiting = conversations(many, 100, ["endless"])
    eventually(lambda: many.queues.state(["endless"])["endless"].leased == 100, 60, 0.1, "the run has the jobs")
    many.queues.pause("endless")  # or the dispatcher would begin again
    [run] = many.dagster.runs({PIPELINE_TAG: "endless"})
    began = time.monotonic()
    many.dagster.terminate(run.id)
    eventually(lambda: many.queues.state(["endless"])["endless"].leased == 0, 30, 0.1, "the jobs are handed back")
    assert time.monotonic() - began < 15
    assert [job.vcon_uuids[0] for job in many.queues.jobs("endless", 0, 200)] == waiting
    assert many.until_finished(run.id) == "CANCELED"
    eventually(lambda: not processes(many, run.id), 30, 0.2, "the run's process is gone")


def processes(platform: Platform, needle: str) -> list[psutil.Process]:
    """The platform's processes with this in their command lines."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if needle in " ".join(process.cmdline()) and process.environ().get("VCON_DATA_DIR") == str(
                platform.settings.data_dir
            ):
                found.append(process)
    return found


def kill(platform: Platform, what: str) -> None:
    """kill -9 of one kind of process."""
    if what in ("redis", "postgres"):
        [status] = [status for status in platform.stack.status() if status.name == what]
        victims = [psutil.Process(status.process_id)] if status.process_id else []
    else:
        needle = {"worker": "execute_run", "code-server": "api grpc", "daemon": "dagster._daemon"}[what]
        victims = processes(platform, needle)
    for victim in victims:
        with contextlib.suppress(psutil.Error):
            victim.send_signal(signal.SIGKILL)


def test_every_job_ends_once_whatever_is_killed(many: Platform, smtp: FakeSmtp) -> None:
    good = conversations(many, 1000, ["flow"])
    bad = conversations(many, 120, ["flow"], "bad: shouted")
    broken = conversations(many, 80, ["flow"], "broken")
    chosen = random.Random(7)
    for what in ("worker", "redis", "worker", "daemon", "postgres", "code-server", "worker"):
        eventually(lambda: _at_work(many) or _at_rest(many), PATIENCE, 0.05, "jobs are being worked on")
        _pass(chosen.uniform(0, 1.5))
        kill(many, what)
    eventually(lambda: _at_rest(many), PATIENCE, 0.5, "every job has ended")
    outbox = EffectsOutbox(many.redis, lambda *_: b"")
    eventually(
        lambda: not (counts := outbox.counts())["waiting"] and not counts["later"], PATIENCE, 0.5, "the mails are sent"
    )
    counts = told(many, "flow")
    ends = {uuid: counts[(uuid, EventKind.DONE)] + counts[(uuid, EventKind.FAILED)] for uuid in good + bad + broken}
    assert {uuid: n for uuid, n in ends.items() if n != 1} == {}
    assert sorted(dead.job.vcon_uuids[0] for dead in many.queues.dead("flow")) == sorted(broken)
    assert sorted(job.vcon_uuids[0] for job in many.queues.jobs("bad_calls", 0, 1000)) == sorted(bad)
    mails = Counter(mail["Subject"] for mail in smtp.messages)
    # What was being sent when its process was killed may have been sent or not: it is not sent again by itself.
    in_doubt = {effect.vcon_uuid for state in ("sending", "uncertain") for effect in outbox.entries(state)}
    assert [uuid for uuid, n in mails.items() if n > 1] == []
    assert set(good + bad) - set(mails) <= in_doubt
    assert not set(mails) & set(broken)


def _at_work(platform: Platform) -> bool:
    with contextlib.suppress(redis.RedisError):
        return platform.queues.state(["flow"])["flow"].leased > 0
    return False


def _at_rest(platform: Platform) -> bool:
    with contextlib.suppress(redis.RedisError):
        return at_rest(platform, "flow")
    return False


def _pass(seconds: float) -> None:
    """Let a moment pass, so that the blow falls anywhere."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() > until, seconds + 5, 0.05, "a moment passes")

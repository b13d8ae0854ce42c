"""Time limits: what blocks is stopped, what dies takes nobody with it, and all else is as without a limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from tests.pipelines.engine_support import lent, piped, run
from tests.pipelines.support import PROJECTIONS, engine, stored
from tests.support import eventually
from vcon_platform.pipelines import timed
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.timed_child import FromSettings
from vcon_platform.settings import Settings
from vcon_platform.store.jobs import DeadJob, new_job

LIMIT = {"timeout": 20.0}


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path)})
    yield work
    work.close()


def _dead(work: Engine) -> list[DeadJob]:
    return work.queues.dead("recall")


def test_a_processor_that_blocks_is_stopped_and_its_neighbours_are_done(work: Engine) -> None:
    stored(work, "x", "hang", "y")
    settled = run(work, piped(("hang", {"timeout": 0.5})))
    assert settled.counts == {"done": 2, "failed": 1}
    assert _dead(work)[0].code == "timeout"


def test_a_time_out_says_what_to_raise(work: Engine) -> None:
    stored(work, "hang")
    run(work, piped(("hang", {"timeout": 0.2})))
    assert "processor_options.timeout" in _dead(work)[0].error


def test_a_process_that_dies_fails_only_its_conversation(work: Engine) -> None:
    stored(work, "x", "die", "y")
    assert run(work, piped(("hang", LIMIT))).counts == {"done": 2, "failed": 1}
    assert _dead(work)[0].code == "worker_died"


def test_the_pipelines_limit_counts_what_earlier_processors_took(work: Engine) -> None:
    stored(work, "x")
    pipeline = piped("hang", "hang", timeout=5)
    batch = work.open(pipeline, batch_id="b", owner="b", limit=1)
    work.step(batch, 0, pipeline.steps[0])
    assert 0 < batch.items[0].spent < 5
    batch.items[0].spent = 5.0
    work.step(batch, 1, pipeline.steps[1])
    assert batch.items[0].verdict is not None
    assert batch.items[0].verdict.code == "timeout"


def test_changes_come_back(work: Engine) -> None:
    [uuid] = stored(work, "x")
    run(work, piped("mark", ("hang", LIMIT)))
    assert [entry["type"] for entry in work.documents.read_one(uuid).analysis] == ["seen", "hung"]


def test_the_processor_works_in_another_process_and_knows_its_time(work: Engine) -> None:
    [uuid] = stored(work, "x")
    run(work, piped(("hang", LIMIT)))
    [told] = work.documents.read_one(uuid).analysis
    assert told["pid"] != os.getpid()
    assert 0 < told["left"] <= 20


def test_the_process_has_the_environment_of_now_not_of_when_the_first_one_began(
    redis_url: str, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for word in ("one", "two"):
        monkeypatch.setenv("VCON_TEST_WORD", word)
        work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path / word)})
        [uuid] = stored(work, "environment")
        run(work, piped(("hang", LIMIT)))
        work.close()
        assert work.documents.read_one(uuid).analysis[0]["type"] == word


def test_vcons_jobs_and_effects_come_back(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    settled = run(work, piped(("ask", LIMIT)))
    assert (settled.counts, settled.queued, settled.effects) == ({"done": 1}, 1, 1)
    assert len(list(redis_client.scan_iter("vcon:*"))) == 2


def test_the_result_cache_can_be_used(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "cache")
    run(work, piped(("hang", LIMIT)))
    assert work.documents.read_one(uuid).analysis[0]["type"] == "kept"
    assert len(list(redis_client.scan_iter("result:*"))) == 1


def test_what_is_lent_is_opened_from_the_settings(redis_client: Redis, tmp_path: Path, settings: Settings) -> None:
    work = engine(redis_client, tmp_path, parts={"lending": FromSettings(settings, PROJECTIONS)})
    [uuid] = stored(work, "cache")
    run(work, piped(("hang", LIMIT)))
    work.close()
    assert work.documents.read_one(uuid).analysis[0]["type"] == "kept"


def test_a_permanent_error_comes_back_with_its_name(work: Engine) -> None:
    stored(work, "never")
    run(work, piped(("hang", LIMIT)))
    assert (_dead(work)[0].code, _dead(work)[0].error) == ("PermanentError", "no")


def test_a_bug_comes_back_without_its_text(work: Engine) -> None:
    stored(work, "bug")
    run(work, piped(("hang", LIMIT)))
    assert "ValueError" in _dead(work)[0].error
    assert "+1 555 0100" not in _dead(work)[0].error


def test_many_wait_for_the_network_in_as_many_processes(work: Engine) -> None:
    uuids = stored(work, *["x"] * 20)
    run(work, piped(("network_hang", LIMIT), concurrency=3))
    pids = {work.documents.read_one(uuid).analysis[0]["pid"] for uuid in uuids}
    assert 1 <= len(pids) <= 4  # three are rounded up


def test_a_limit_may_come_from_a_parameter(work: Engine) -> None:
    [uuid] = stored(work, "hang")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(uuid, parameters={"seconds": 0.2})])
    run(work, piped(("hang", {"format_options": {"timeout": "{seconds}"}})))
    assert _dead(work)[0].code == "timeout"


def test_a_cancelled_run_does_not_wait_for_what_blocks(work: Engine) -> None:
    stored(work, "hang", "hang")
    pipeline = piped(("network_hang", {"timeout": 60.0}))
    batch = work.open(pipeline, batch_id="b", owner="b", limit=2)
    began = time.monotonic()
    interrupt = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        work.step(batch, 0, pipeline.steps[0])
    assert time.monotonic() - began < 10
    assert [item.verdict for item in batch.items] == [None, None]
    eventually(lambda: not [each for each in threading.enumerate() if each.name.startswith("network_hang")])


_SCRIPT = """
import os, sys
from functools import partial
from pathlib import Path
from redis import Redis
from tests.pipelines.engine_support import lent, piped
from tests.pipelines.support import PROJECTIONS, engine, stored

def main():
    url, folder = sys.argv[1], Path(sys.argv[2])
    work = engine(Redis.from_url(url), folder, parts={"lending": partial(lent, url, folder)})
    [uuid] = stored(work, "x")
    pipeline = piped(("hang", {"timeout": 20.0}))
    batch = work.open(pipeline, batch_id="b", owner="b", limit=1)
    work.step(batch, 0, pipeline.steps[0])
    work.settle(pipeline, batch)
    print(work.documents.read_one(uuid).analysis[0]["pid"], flush=True)
    if len(sys.argv) > 3:
        os.kill(os.getpid(), 9)

main()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_no_process_outlives_the_run(redis_url: str, redis_client: Redis, tmp_path: Path, killed: bool) -> None:
    # As a run worker is started: what is __main__ there is no module that a process could import again.
    arguments = [redis_url, str(tmp_path), *(["kill"] if killed else [])]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments], capture_output=True, text=True, timeout=60, cwd=root, check=False
    )
    assert done.returncode == (-9 if killed else 0), done.stderr
    pid = int(done.stdout)
    eventually(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), timeout=10)


@pytest.mark.parametrize(("network", "waiting", "most"), [(True, 100, 32), (True, 2, 2), (False, 100, os.cpu_count())])
def test_the_number_of_processes_is_bounded(network: bool, waiting: int, most: int) -> None:
    assert timed.processes(network, 64, waiting) == most

"""``expire``: a document leaves Redis at its time, after the commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from tests.processors.support import UUID, document, io_of
from tests.support import document_store
from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Effect, Lent, PermanentError, TransientError
from vcon_platform.processors.expire import Expire, ExpireOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.vcon.document import Vcon

TestExpireStandard = processor_tests(Expire, example_io=lambda: io_of(document()))


def ask(job: str = "job-1", **options: Any) -> Effect:
    io = io_of(document())
    io.job_id = job
    [effect] = Expire().process(io, ExpireOptions(**options)).effects
    return effect


def deliver(effect: Effect, documents: Any) -> None:
    Expire().deliver(Effect(effect.body, effect.summary, lent=Lent(cast("Any", None), documents)), "k1")


def test_the_document_leaves_redis_and_comes_back_from_the_archive(redis_client: Redis, tmp_path: Path) -> None:
    store = document_store(redis_client, tmp_path)
    list(store.create([NewVcon(Vcon(document()))]))
    deliver(ask(seconds=500), store)
    assert 400 < redis_client.ttl(keys.document(UUID)) <= 500
    redis_client.delete(keys.document(UUID))
    assert store.read_one(UUID).uuid == UUID


def test_a_document_that_is_gone_is_a_lasting_fault(redis_client: Redis, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no vCon"):
        deliver(ask(), document_store(redis_client, tmp_path))


def test_a_store_that_is_away_is_asked_again() -> None:
    class Away:
        def leave_after(self, uuid: str, seconds: int) -> None:
            error = PlatformError("Redis is away")
            error.transient = True
            raise error

    with pytest.raises(TransientError, match="Redis is away"):
        deliver(ask(), Away())


def test_each_run_sets_the_time_again_and_a_retry_does_not() -> None:
    assert ask("job-1").about == ask("job-1").about != ask("job-2").about


def test_the_summary_says_how_long() -> None:
    assert ask(seconds=60).summary == "leaves Redis after 60 s"

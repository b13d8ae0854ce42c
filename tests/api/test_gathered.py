"""Requests that come at the same time: one group, each its own answer, nobody harmed by a neighbour."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from vcon_platform.api.gathered import ENOUGH, MOST, Gathered
from vcon_platform.errors import PlatformError


class Away(PlatformError):
    """As Redis is."""


class Served:
    """Serves numbers by doubling them; the first group waits until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun = threading.Event()
        self.go = threading.Event()
        self.gathered: Gathered[int, int] = Gathered("test", self.serve)

    def serve(self, group: Sequence[int]) -> Iterator[int | Exception]:
        self.groups.append(list(group))
        self.begun.set()
        assert self.go.wait(10)
        for number in group:
            yield self.of(number)

    def of(self, number: int) -> int | Exception:
        if number == 13:
            raise ValueError("unlucky")
        if number == 99:
            raise Away("away")
        return 2 * number if number >= 0 else Away("no")

    async def ask(self, *numbers: int) -> list[int | BaseException]:
        """The first alone, the others while it is being served."""
        first = asyncio.create_task(self.gathered.ask(numbers[0]))
        await asyncio.to_thread(self.begun.wait, 10)
        rest = [asyncio.create_task(self.gathered.ask(number)) for number in numbers[1:]]
        await asyncio.sleep(0)
        self.go.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)


@pytest.fixture
def served() -> Served:
    return Served()


def test_who_comes_alone_waits_for_nobody_and_who_comes_meanwhile_is_in_the_next_group(served: Served) -> None:
    assert asyncio.run(served.ask(1, 2, 3)) == [2, 4, 6]
    assert served.groups == [[1], [2, 3]]


def test_who_comes_in_one_turn_of_the_loop_is_in_one_group(served: Served) -> None:
    async def together() -> list[int]:
        return await asyncio.gather(*(served.gathered.ask(number) for number in range(5)))

    served.go.set()
    assert asyncio.run(together()) == [0, 2, 4, 6, 8]
    assert served.groups == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize(("waiting", "second"), [(ENOUGH, True), (ENOUGH - 1, False)])
def test_beside_a_group_another_begins_only_where_enough_wait(served: Served, waiting: int, second: bool) -> None:
    async def begins() -> bool:
        asked = [asyncio.create_task(served.gathered.ask(1))]
        await asyncio.to_thread(served.begun.wait, 10)
        served.begun.clear()
        asked += [asyncio.create_task(served.gathered.ask(1)) for _ in range(waiting)]
        begun = await asyncio.to_thread(served.begun.wait, 10 if second else 0.05)
        served.go.set()
        await asyncio.gather(*asked)
        return begun

    assert asyncio.run(begins()) is second


def test_a_group_has_a_bound(served: Served) -> None:
    assert asyncio.run(served.ask(*[7] * 3 * MOST)) == [14] * 3 * MOST
    assert max(len(group) for group in served.groups) == MOST


def test_an_error_is_its_owners_alone(served: Served) -> None:
    answers = asyncio.run(served.ask(1, 2, -1, 13, 4, 5))
    assert [answers[place] for place in (0, 1, 4, 5)] == [2, 4, 8, 10]
    assert isinstance(answers[2], Away)
    assert isinstance(answers[3], ValueError)


def test_where_everybody_fails_not_everybody_is_tried(served: Served) -> None:
    answers = asyncio.run(served.ask(1, *[99] * (ENOUGH - 1)))
    assert all(isinstance(each, Away) for each in answers[1:])
    assert len(served.groups) == 4, "the first, the group, and two alone"


def test_who_hangs_up_harms_no_other(served: Served) -> None:
    async def some() -> list[int]:
        first = asyncio.create_task(served.gathered.ask(1))
        await asyncio.to_thread(served.begun.wait, 10)
        gone, stays = asyncio.create_task(served.gathered.ask(2)), asyncio.create_task(served.gathered.ask(3))
        await asyncio.sleep(0)
        gone.cancel()
        served.go.set()
        return [await first, await stays]

    assert asyncio.run(some()) == [2, 6]

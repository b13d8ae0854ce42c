"""The standard suite holds for the simplest destination there is, with and without transactions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.projections.destination_suite import DestinationSuite, Stored, suite_projection
from tests.projections.memory_destination import MemoryDestination
from vcon_platform.projections.model import Projection


class TestInMemory(DestinationSuite):
    transactions = True
    examples = 40

    @pytest.fixture
    def destination(self) -> MemoryDestination:
        return MemoryDestination(transactions=self.transactions)

    @pytest.fixture
    def projection(self) -> Projection:
        return suite_projection("memory")

    @pytest.fixture
    def stored(self, destination: MemoryDestination) -> Stored:
        return destination.stored

    @pytest.fixture
    def unreachable(self) -> MemoryDestination:
        return MemoryDestination(away=True)

    @pytest.fixture
    def lose_one_row(self, destination: MemoryDestination) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            destination.rows.remove(next(row for row in destination.rows if row.uuid == uuid))

        return lose


class TestInMemoryWithoutTransactions(TestInMemory):
    transactions = False

"""What it costs in time to keep budgets and accounts, and to buy once for all who ask at once.

    python benchmarks/purchases.py [--rounds N]

Starts a Redis of its own, as in production. Prints one JSON object: milliseconds (median) of looking at a budget, of
writing a use down, of a result that is kept, and of one that is not and that nobody else may buy meanwhile.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from embedded import embedded_store

from vcon_platform.pipelines.pipeline_options import Budget
from vcon_platform.pipelines.prices import PriceFile
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.processors.base import Buyer, Usage
from vcon_platform.store.accounts import Accounts
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.uuids import new_uuid

PRICES = "{currency: EUR, services: {ears: {'*': {per_minute: 0.6}}}}"


def median(work: Callable[[int], object], rounds: int) -> float:
    """Milliseconds of one call."""
    taken = []
    for number in range(rounds):
        began = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(taken), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5000)
    rounds = parser.parse_args().rounds
    with embedded_store() as store, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prices.yaml").write_text(PRICES)
        purchasing = Purchasing(Accounts(store.client), PriceFile(Path(folder)))
        within = purchasing.within(Budget(per="day", price=1e9), run_id="run")
        buyer = Buyer(new_uuid(), "notes", "v", "shop", "1", "j")
        results = StoredResults(store.client)
        told = {
            "look at a budget": median(lambda _: within.before(buyer), rounds),
            "write a use down": median(lambda _: within.after(buyer, Usage("ears", "one", seconds=61.5)), rounds),
            "result not kept": median(lambda n: results.get_or_compute(("parts", str(n)), lambda: "heard"), rounds),
            "result kept": median(lambda n: results.get_or_compute(("parts", str(n)), lambda: "heard"), rounds),
        }
    print(json.dumps({"rounds": rounds, "milliseconds": told}))


if __name__ == "__main__":
    main()

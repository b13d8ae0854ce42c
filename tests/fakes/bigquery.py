"""BigQuery on this machine: the emulator bqemulator (DuckDB beneath) as a process of its own.

It is begun with two faults of version 1.4.0 cured: it wants to download DuckDB's extensions when it starts, and it
refuses the media type ``*/*`` that Google's client gives the second part of a load job.

    python -m tests.fakes.bigquery start --rest-port P --grpc-port Q --ephemeral --log-level error
"""

from __future__ import annotations

import contextlib
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support import child, eventually, free_port

_ROOT = Path(__file__).parents[2]


def main() -> None:
    """The emulator's own command line."""
    import bqemulator.cli
    from bqemulator.api.routes import upload
    from bqemulator.storage import engine

    permitted = upload._is_permitted_media_type
    for name in ("_load_spatial", "_load_format_extensions"):
        setattr(engine.DuckDBEngine, name, lambda _: None)
    upload._is_permitted_media_type = lambda media_ct: media_ct == "*/*" or permitted(media_ct)
    bqemulator.cli.main()


@contextlib.contextmanager
def bigquery(log: Path) -> Iterator[str]:
    """Run one while the block runs: its address. Takes 5 s to start and 300 MB."""
    port = free_port()
    command = [sys.executable, "-m", "tests.fakes.bigquery", "start", "--rest-port", str(port)]
    command += ["--grpc-port", str(free_port()), "--ephemeral", "--log-level", "error"]
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"{address}/bigquery/v2/projects/p/datasets", timeout=5).close()  # noqa: S310 - our own address
        except urllib.error.HTTPError:
            return True
        return True

    with child(command, log, cwd=_ROOT) as process:
        eventually(lambda: process.poll() is None and answers(), 60, message=f"BigQuery is ready, see {log}")
        yield address


if __name__ == "__main__":
    main()

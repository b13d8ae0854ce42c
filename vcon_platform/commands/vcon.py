"""``vcon-platform vcon``: vCons as files and in this installation, from the command line.

Belongs here: which verbs there are. Each concept is a module of its own: into the installation (``_vcon_in.py``), what
there is (``_vcon_find.py``), out of it (``_vcon_out.py``), what is known of one (``_vcon_known.py``), its forms and
versions (``_vcon_forms.py``), one processor on it (``_vcon_filter.py``), a first one (``_vcon_new.py``), away with it
(``_vcon_delete.py``).

Exit codes: 0 well; 1 something was refused or failed, and the others are done; 2 what was typed is wrong.
"""

from __future__ import annotations

import typer

from vcon_platform.commands import (
    _vcon_delete,
    _vcon_filter,
    _vcon_find,
    _vcon_forms,
    _vcon_in,
    _vcon_known,
    _vcon_new,
    _vcon_out,
)

app = typer.Typer(
    no_args_is_help=True,
    help="vCons as files, in pipes and in the store: in and out, find, judge, sign, encrypt, bring to other versions.",
)

for _verbs in (_vcon_in, _vcon_find, _vcon_out, _vcon_known, _vcon_forms, _vcon_filter, _vcon_delete):
    _verbs.register(app)
app.add_typer(_vcon_new.app, name="new")

"""A vCon's new form on its way from one process to another: to a processor with a time limit and back, from one run to
the run that takes it up again.

Belongs here: the form as a JSON value. Not here: giving a vCon another form (``Vcon.reform``), making it its next
revision (``settling.py``).

The bytes travel as text: they are JSON, so UTF-8, and come back as the very same bytes.
"""

from __future__ import annotations

from typing import Any

import orjson

from vcon_platform.vcon.document import Envelope, Vcon


def written(vcon: Vcon) -> dict[str, Any]:
    """The form of a vCon that has one."""
    envelope = vcon.envelope
    assert envelope is not None  # noqa: S101 - the caller looked
    return {
        "raw": envelope.raw.decode(),
        "view": orjson.Fragment(envelope.view),
        "meta": dict(envelope.meta),
        "withdrawn": list(envelope.withdrawn),
        "kept": envelope.kept,
        "sealed": vcon.sealed,
    }


def take_up(vcon: Vcon, form: dict[str, Any]) -> None:
    """Give a vCon the form that was written down, without what was added on top of it."""
    withdrawn = [(name, day) for name, day in form["withdrawn"]]
    vcon.reform(form["raw"].encode(), form["view"], form["meta"], sealed=form["sealed"], withdrawn=withdrawn)


def enveloped(vcon: Vcon, form: dict[str, Any]) -> Vcon:
    """The same vCon, whose data has what was added already, with the form around it."""
    withdrawn = tuple((name, day) for name, day in form["withdrawn"])
    view = orjson.dumps(form["view"])
    vcon.envelope = Envelope(form["raw"].encode(), view, form["meta"], withdrawn, form["kept"])
    vcon.sealed = form["sealed"]
    return vcon

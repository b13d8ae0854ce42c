"""``GET /v1/vcons``: list and search, page by page.

Belongs here: the question from the address line, the page as an answer. Not here: what can be asked
(``store/search_query.py``), how pages hold still while vCons arrive (``store/paging.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.problems import Problem
from vcon_platform.store.opening import Store
from vcon_platform.store.paging import LARGEST
from vcon_platform.store.search_query import SearchQuery


class VconOut(BaseModel):
    """A vCon of a page. Its document: GET /v1/vcons/{uuid}."""

    uuid: str
    adapter: str = Field(description="Where it came from.")
    day: str = Field(description="The day (UTC) of its creation.")
    form: str
    state: str
    revision: int


class PageOut(BaseModel):
    """A page, newest first."""

    vcons: list[VconOut]
    cursor: str | None = Field(description="Continues after these; null: there are no more.")
    total: int = Field(description="On all pages.")
    exact: bool = Field(description="False: at least so many; counting them took too long.")
    complete: bool = Field(description="False: the index is being built, and there may be more.")


def _text(what: str) -> Any:
    return Query(max_length=10_000, description=what)


def router(store: Callable[[], Store], gate: Gate) -> APIRouter:
    """The route. ``gate`` guards it."""
    routes = APIRouter(prefix="/v1/vcons", tags=["vCons"])

    @routes.get("", dependencies=gate("read"), summary="List or search vCons")
    def search(
        who: WhoAsks,
        text: Annotated[str | None, _text('Words, and "phrases", of what was said or written.')] = None,
        tel: Annotated[str | None, _text("Number of a party, in any spelling, or an extension.")] = None,
        mailto: Annotated[str | None, _text("E-mail address of a party.")] = None,
        name: Annotated[str | None, _text("Whole name of a party; capitals do not matter.")] = None,
        sip: Annotated[str | None, _text("SIP address of a party.")] = None,
        tag: Annotated[str | None, _text("A tag, as name:value.")] = None,
        analysis: Annotated[str | None, _text("Type of an analysis.")] = None,
        dialog: Annotated[str | None, _text("Type of a dialog.")] = None,
        adapter: Annotated[str | None, _text("Where it came from.")] = None,
        state: Annotated[str | None, _text("``ready``, ``opaque`` or ``parked``.")] = None,
        form: Annotated[str | None, _text("``unsigned``, ``signed`` or ``encrypted``.")] = None,
        since: Annotated[str | None, _text("Created at or after this day or moment.")] = None,
        until: Annotated[str | None, _text("Created before this day or moment.")] = None,
        started_since: Annotated[str | None, _text("First dialog began at or after this.")] = None,
        started_until: Annotated[str | None, _text("First dialog began before this.")] = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST, description="vCons on a page.")] = 50,
        cursor: Annotated[str | None, Query(max_length=400, description="Of the page before.")] = None,
    ) -> PageOut:
        """All of what is asked must be true of a vCon; without a question: all, newest first. A page holds still while
        others are stored: nothing is skipped, nothing shown twice."""
        query = SearchQuery(
            text=text,
            tel=tel,
            mailto=mailto,
            name=name,
            sip=sip,
            tag=tag,
            analysis=analysis,
            dialog=dialog,
            adapter=adapter,
            state=state,
            form=form,
            created_from=moment("since", since),
            created_to=moment("until", until),
            started_from=moment("started_since", started_since),
            started_to=moment("started_until", started_until),
            limit=limit,
            cursor=cursor,
            adapters=who.visible.adapters,
            tags=who.visible.tags,
        )
        opened = store()
        page = opened.index.search(query)
        metas = opened.documents.metas(page.uuids)
        return PageOut(
            vcons=[_vcon(uuid, meta) for uuid, meta in zip(page.uuids, metas, strict=True)],
            cursor=page.cursor,
            total=page.total,
            exact=page.exact,
            complete=page.complete,
        )

    return routes


def moment(name: str, text: str | None) -> datetime | None:
    """A day (its beginning, UTC) or a moment with its zone. Raises Problem."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a '+' of an address line is read as a blank
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Problem(422, "bad_time", f"{name}: write a day or a moment with its zone: 2026-11-02, 2026-11-02T09:00Z.")
    return found


def _vcon(uuid: str, meta: dict[str, str]) -> VconOut:
    return VconOut(
        uuid=uuid,
        adapter=meta.get("adapter", ""),
        day=meta.get("day", ""),
        form=meta.get("form", "unsigned"),
        state=meta.get("state", "ready"),
        revision=int(meta.get("revision", 0)),
    )

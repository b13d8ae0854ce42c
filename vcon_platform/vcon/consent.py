"""Whether a conversation may be used for a purpose: the rules over what its records say.

Belongs here: deciding, for one purpose and the people whose data it is. Not here: reading the records
(``consent_records.py``), who is asked and when (``processors/consented.py``, the engine).

The rules, for each person by themselves; all of them have to allow it:

1. **Nothing said is a no.** A purpose needs a grant that names it. A grant of ``analysis`` is one of
   ``sentiment_analysis`` too; not the other way round.
2. **A no stands.** Whatever else allows the purpose, under another basis, for everybody or before it: who denies it
   has denied it, and a denial does not expire. What lifts it is a later grant on the same basis, by the same person or,
   of a denial for everybody, for that person: they changed their mind, and both times are known.
3. **A yes has an end.** An expired grant is as if it were not there: it vetoes nothing. The clocks of two systems
   differ by up to :data:`SKEW`. A grant from the future is not there yet, and one without an end that asks to be
   confirmed from time to time is not there any more when that time is over.
4. **A condition that nobody vouches for is not met.** The caller says which ones this installation meets.

So of several statements the most restrictive counts (draft-howe-vcon-lawful-basis, section 6.4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vcon_platform.vcon.consent_records import ANY, Statement, purpose_name
from vcon_platform.vcon.dialogs import array

__all__ = ["SKEW", "Decision", "Whose", "decide", "people"]

SKEW = 300.0
"""Seconds by which clocks may differ (section 6.2 of the draft: five minutes at most)."""

Whose = Literal["everyone", "customers"]
"""Who has to allow something: everyone who took part, or everyone but the staff."""

_NOT_PEOPLE = frozenset({"bot", "organization", "organisation"})
_STAFF = frozenset({"agent", "representative", "operator", "supervisor", "employee", "staff"})

_WHY = {
    "granted": "it is granted",
    "denied": "{who} denied it",
    "missing": "no lawful basis of {who} names it",
    "expired": "the lawful basis of {who} has expired",
    "stale": "the lawful basis of {who} was not confirmed within its status_interval",
    "early": "the lawful basis of {who} begins in the future",
    "conditions": "{who} allowed it on conditions that this installation does not say it meets",
    "unreadable": "a lawful basis of {who} cannot be read, and may be a denial",
    "content_hash": "the lawful basis of {who} does not have the content that its hash is of",
    "expiration": "nobody can say when the lawful basis of {who} expires",
    "status_interval": "nobody can say how often the lawful basis of {who} must be confirmed",
    "basis": "the lawful basis of {who} is none of the six that there are",
    "party": "it is allowed by a party that is not in the conversation",
    "purpose": "{who} allowed something without naming a purpose",
}
_ORDER = ("expired", "stale", "early", "conditions")
"""Of several grants that do not count, which is told: the one that was nearest to counting."""


@dataclass(frozen=True, slots=True)
class Decision:
    """May it be done? ``code`` says why (or why not), ``party`` at whom it failed, ``basis`` on which basis it is
    allowed (of the first person) or refused. ``asked``: the parties that it depended on."""

    purpose: str
    allowed: bool
    code: str
    party: int | None = None
    basis: str = ""
    asked: tuple[int, ...] = ()

    @property
    def reason(self) -> str:
        """A sentence for ledger and UI; no personal data."""
        if self.allowed:
            return f"{self.purpose} is allowed ({self.basis})"
        who = f"party {self.party}" if self.party is not None else "the conversation"
        return f"{self.purpose} is not allowed: {_WHY[self.code].format(who=who)}"

    def to_detail(self) -> dict[str, Any]:
        """The decision as the ledger keeps it."""
        told = {"purpose": self.purpose, "allowed": self.allowed, "basis": self.basis, "parties": list(self.asked)}
        return told if self.allowed else {"reason": self.reason, "code": self.code, "party": self.party, **told}


def people(data: Mapping[str, Any], whose: Whose = "everyone") -> tuple[int, ...]:
    """The parties whose data it is: all but bots and organisations, for ``customers`` also without those whose role is
    one of the staff's. Empty where nobody is left: then only a statement for everybody counts."""
    return tuple(
        index
        for index, party in enumerate(array(data, "parties"))
        if _word(party.get("type")) not in _NOT_PEOPLE and not (whose == "customers" and _role(party) in _STAFF)
    )


def decide(
    statements: Sequence[Statement],
    purpose: str,
    parties: Iterable[int],
    *,
    now: float,
    met: Collection[str] = (),
) -> Decision:
    """Whether these statements allow ``purpose`` for all of these parties. ``met``: the conditions that are met here.
    ``now``: seconds since 1970. Pure."""
    wanted, asked = purpose_name(purpose), tuple(parties)
    conditions = {purpose_name(condition) for condition in met}
    basis = ""
    for party in asked or (None,):
        told = [each for each in statements if each.party is None or each.party == party]
        code, by = _for_one(told, wanted, party, now, conditions)
        if code != "granted":
            return Decision(purpose, allowed=False, code=code, party=party, basis=by, asked=asked)
        basis = basis or by
    return Decision(purpose, allowed=True, code="granted", basis=basis, asked=asked)


def _for_one(
    told: Sequence[Statement], purpose: str, party: int | None, now: float, met: Collection[str]
) -> tuple[str, str]:
    """The code of the decision for one party, and the basis that it rests on."""
    denials = [each for each in told if not each.granted and each.purpose in (purpose, *_general(purpose), ANY)]
    grants = [each for each in told if each.granted and each.purpose in (purpose, *_general(purpose))]
    against = {id(each): _against(each, now, met) for each in grants}
    good = [each for each in grants if not against[id(each)]]
    for denial in denials:
        if not any(_lifts(grant, denial, party) for grant in good):
            return denial.flaw or "denied", denial.basis
    if good:
        return "granted", good[0].basis
    for code in _ORDER:
        for grant in grants:
            if against[id(grant)] == code:
                return code, grant.basis
    return (against[id(grants[0])], grants[0].basis) if grants else ("missing", "")


def _general(purpose: str) -> list[str]:
    """The purposes of which this is a kind: ``analysis`` for ``sentiment_analysis``."""
    words = purpose.split("_")
    return ["_".join(words[place:]) for place in range(1, len(words))]


def _against(grant: Statement, now: float, met: Collection[str]) -> str:
    """Why a grant does not count now; nothing where it does."""
    if grant.flaw:
        return grant.flaw
    if grant.expires is not None and now > grant.expires + SKEW:
        return "expired"
    if grant.stale is not None and now > grant.stale + SKEW:
        return "stale"
    if grant.at is not None and grant.at > now + SKEW:
        return "early"
    return "" if all(condition in met for condition in grant.conditions) else "conditions"


def _lifts(grant: Statement, denial: Statement, party: int | None) -> bool:
    """Whether this grant says that they who denied it changed their mind."""
    if denial.at is None or grant.at is None or grant.at <= denial.at or grant.basis != denial.basis:
        return False
    return denial.party is None or grant.party == party


def _word(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""


def _role(party: Mapping[str, Any]) -> str:
    meta = party.get("meta")
    return _word(party.get("role")) or (_word(meta.get("role")) if isinstance(meta, Mapping) else "")

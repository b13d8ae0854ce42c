"""What the gates and the migration write down while they walk a document once.

Belongs here: collecting faults and findings under caps, and what both sides need to know of the document. Not here:
any rule (``gates.py``, ``migrate*.py``), or what becomes of the notes (``received.py``).

All faults are told at once, so that whoever writes such documents mends them in one round; the caps keep a document
of a million broken elements from becoming an answer of a million lines. Pointers are made only where there is
something to say: on a clean document this costs nothing.
"""

from __future__ import annotations

from datetime import tzinfo

from vcon_platform.vcon.dates import seconds_of
from vcon_platform.vcon.faults import Fault, Finding, Rejected
from vcon_platform.vcon.policy import Policy

MOST_FAULTS = 50
MOST_FINDINGS = 200

VERSIONS = ("0.0.1", "0.0.2", "0.0.3", "0.3.0", "0.4.0")
"""Values of ``vcon``, oldest first. 0.0.3 is in no draft."""


class Notes:
    """The notes of one walk. ``parties``, ``dialogs``, ``attachments``: how many the document has. ``trait``: index in
    :data:`VERSIONS` of the oldest feature seen. ``uuid``: canonical, empty until known."""

    __slots__ = (
        "attachments",
        "dialogs",
        "earliest",
        "faults",
        "findings",
        "latest",
        "parties",
        "policy",
        "trait",
        "uuid",
        "zone",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.zone: tzinfo = policy.zone
        self.earliest, self.latest = seconds_of(policy.earliest), seconds_of(policy.latest)
        self.faults: list[Fault] = []
        self.findings: list[Finding] = []
        self.parties = self.dialogs = self.attachments = 0
        self.trait = len(VERSIONS) - 1
        self.uuid = ""

    def fault(self, code: str, pointer: str, message: str, status: int = 422) -> None:
        """Refuse the document for this. Raises :class:`Rejected` at once when there are enough."""
        self.faults.append(Fault(code, pointer, message, status))
        if len(self.faults) >= MOST_FAULTS:
            self.settle()

    def finding(self, code: str, pointer: str, message: str, *, strict: bool = True) -> None:
        """Say this of the document."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(code, pointer, message, strict))
        elif len(self.findings) == MOST_FINDINGS:
            self.findings.append(Finding("more_findings", "", "there are more findings; these are the first"))

    def older(self, version: str) -> None:
        """A feature of this version was seen."""
        self.trait = min(self.trait, VERSIONS.index(version))

    def settle(self) -> None:
        """Raises :class:`Rejected` with every fault, if there is any."""
        if self.faults:
            raise Rejected(*self.faults)

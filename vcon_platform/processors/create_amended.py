"""The processor ``create_amended``: makes a copy that may be changed, where the original must stay as it is.

Belongs here: the step of a pipeline. Not here: what a copy is (``vcon/copies.py``), the links between the two
(``vcon/lineage.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.vcon.copies import amended_copy
from vcon_platform.vcon.lineage import link_back


class CreateAmended(Processor[ProcessorOptions]):
    """An amended copy."""

    name = "create_amended"
    version = "1.0.0"
    title = "Make an amended copy"
    description = (
        "Adds a copy of the vCon with a uuid of its own, which points at its original, and is stored with it. The "
        "processors after it work on the copy by input_vcon_index."
    )
    effects = Effects(changes=True)
    options = ProcessorOptions

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:  # noqa: ARG002 - it has none
        """Raises PermanentError for a vCon that carries another one within ``amended`` or ``redacted``."""
        uuid = io.new_uuid()
        try:
            copy = amended_copy(io.vcon, now=_made(uuid), uuid=uuid)
        except PlatformError as error:
            raise PermanentError(f"vCon {io.vcon.uuid} cannot be amended: {error}") from None
        link_back(io.vcon, copy)
        io.add(copy)
        return io


def _made(uuid: str) -> datetime:
    """The time that the uuid holds: the job's, so that a repeated job makes the same copy again."""
    milliseconds = UUID(uuid).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)

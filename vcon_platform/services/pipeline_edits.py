"""Changing stored definitions: what the REST API and the command line both do.

Belongs here: which change is refused, and that Dagster is told. Not here: how definitions are kept
(``pipelines/stored.py``), how an answer looks.

A definition that stands in a file is changed there and nowhere else: a file wins over a stored definition of its name,
so that what a deployment ships cannot be changed behind its back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.catalogue import Catalogue
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.faults import DefinitionError, DefinitionFault
from vcon_platform.pipelines.stored import StoredDefinitions, Version
from vcon_platform.pipelines.texts import sources
from vcon_platform.pipelines.wiring import undeclared, wiring
from vcon_platform.projections.catalogue import load_projections
from vcon_platform.services.going_live import Live, go_live
from vcon_platform.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

WAIT = 30.0
"""Seconds to wait for a new version to be live, unless told otherwise."""


class DefinedInFile(PlatformError):
    """A file defines this pipeline, so it cannot be changed from here."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of a change: the version it made, what its author should know, and whether it is live (None: nobody
    was to be told)."""

    name: str
    version: Version
    warnings: tuple[DefinitionFault, ...]
    live: Live | None


class PipelineEdits:
    """The stored definitions of one installation, and its Dagster."""

    def __init__(self, settings: Settings, client: Redis, current: CurrentCatalogue | None = None) -> None:
        self._settings = settings
        self.stored = StoredDefinitions(client)
        self.current = current or CurrentCatalogue(settings, client)

    def check(self, name: str, raw: Any) -> tuple[Definition, tuple[DefinitionFault, ...]]:
        """Check a definition by itself and against the others. Gives it with its warnings; raises
        :class:`DefinitionError` naming every fault. That a projection is not declared is a warning here: its file may
        come with the next deployment."""
        definition = read_definition(name, raw, self.current.registry, "stored")
        found = wiring(definition, self.current.refresh().pipelines)
        if found.faults:
            raise DefinitionError(*found.faults)
        declared = load_projections(self._settings.pipelines_dir / "projections")
        return definition, (*found.warnings, *undeclared(definition, declared))

    def put(self, name: str, raw: Any, by: str, *, base: int | None = None, wait: float | None = WAIT) -> Edited:
        """Store a definition and have Dagster load it (``wait`` seconds; None: do not tell it).

        Raises :class:`DefinedInFile`, :class:`DefinitionError`, :class:`DefinitionConflict` if the version is not
        ``base`` any more.
        """
        self._not_in_a_file(name)
        _, warnings = self.check(name, raw)
        definition, version = self.stored.put(name, raw, self.current.registry, by, base=base)
        return Edited(name, version, warnings, self._live(name, definition.version, wait))

    def delete(self, name: str, by: str, *, base: int | None = None, wait: float | None = WAIT) -> Edited:
        """Delete a stored definition. Its queue stays as it is, and its versions too. Raises :class:`DefinedInFile`,
        :class:`NotStored`, :class:`DefinitionConflict`."""
        self._not_in_a_file(name)
        version = self.stored.delete(name, by, base=base)
        return Edited(name, version, (), self._live(name, None, wait))

    def roll_back(self, name: str, number: int, by: str, *, wait: float | None = WAIT) -> Edited:
        """Store an earlier version again, as a new one. Raises as :meth:`put`, and :class:`NotStored`."""
        self._not_in_a_file(name)
        wanted = self.stored.version(name, number)
        warnings = self.check(name, wanted.definition)[1] if wanted.source != "deleted" else ()
        definition, version = self.stored.roll_back(name, number, self.current.registry, by)
        return Edited(name, version, warnings, self._live(name, definition.version, wait))

    def reload(self, wait: float = WAIT) -> tuple[Catalogue, Live]:
        """Have Dagster load everything as it is now, files too."""
        found = self.current.refresh()
        wanted = {name: each.version for name, each in found.pipelines.items() if name not in found.fallen_back}
        return found, go_live(self._settings, wanted, wait=wait)

    def _live(self, name: str, version: str | None, wait: float | None) -> Live | None:
        self.current.refresh()
        return None if wait is None else go_live(self._settings, {name: version}, wait=wait)

    def _not_in_a_file(self, name: str) -> None:
        for file in sources(self._settings.pipelines_dir):
            if file.rpartition(".")[0] == name:
                raise DefinedInFile(
                    f"pipeline {name!r} is defined by the file {file} of {self._settings.pipelines_dir}: change it "
                    "there, then 'vcon-platform pipelines reload'. To change it from here, remove the file first."
                )

"""What this deployment declares: its pipelines, projections and adapters, read from texts and checked.

Each declaration stands or falls by itself: what is broken is told by name and takes nothing else down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vcon_platform.adapters.base import Adapter
from vcon_platform.adapters.registry import load_adapters
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.pinning import Texts
from vcon_platform.pipelines.catalogue import Catalogue
from vcon_platform.pipelines.current import PipelineTexts, load_texts
from vcon_platform.pipelines.texts import sources
from vcon_platform.processors.registry import load_processors
from vcon_platform.projections.catalogue import read_projections
from vcon_platform.projections.model import Projection
from vcon_platform.settings import Settings

FOLDERS = ("projections", "adapters")
STORED, UNREADABLE, LAST_GOOD = "pipelines/stored", "pipelines/unreadable", "pipelines/last_good"
"""Rooms of the texts beside ``pipelines`` (files): what stands in Redis, and what to fall back to."""


def read_texts(settings: Settings) -> Texts:
    """Every declaration of this installation, as it is now. For a code server only: it asks Redis, and writes down
    there which definitions were found good."""
    found = load_texts(settings, load_processors())
    return {
        "pipelines": dict(found.files),
        STORED: dict(found.stored),
        UNREADABLE: dict(found.unreadable),
        LAST_GOOD: dict(found.last_good),
        **{room: sources(settings.pipelines_dir / room) for room in FOLDERS},
    }


@dataclass(frozen=True, slots=True)
class Deployment:
    """The declarations, checked. ``broken``: declaration to what is wrong with it; a pipeline among them may run on
    nevertheless, as its text then says."""

    pipelines: Catalogue
    projections: Mapping[str, Projection]
    adapters: Mapping[str, Adapter]
    broken: Mapping[str, str]

    def sources_of(self, pipeline: str) -> list[list[str]]:
        """The asset keys of the sources that feed a pipeline's queue, sorted."""
        feeding = [adapter.settings.name for adapter in self.adapters.values() if pipeline in adapter.settings.queues]
        return sorted(key for name in feeding for key in (naming.source_key(name), naming.history_key(name)))


def read_deployment(texts: Texts, data_dir: Path) -> Deployment:
    """Check these texts. ``data_dir`` is where an adapter's relative folders start."""
    given = (texts.get(room, {}) for room in ("pipelines", STORED, UNREADABLE, LAST_GOOD))
    pipelines = PipelineTexts(*given).check(load_processors())
    projections = read_projections(texts["projections"])
    adapters = load_adapters(texts["adapters"], data_dir)
    broken = {
        **{f"pipelines/{name}": "; ".join(told) for name, told in pipelines.warnings.items()},
        **{f"pipelines/{name}": fault for name, fault in pipelines.broken.items()},
        **{f"projections/{name}": str(fault) for name, fault in projections.broken.items()},
        **{f"adapters/{name}": str(fault) for name, fault in adapters.broken.items()},
    }
    return Deployment(pipelines, dict(projections), adapters.adapters, broken)

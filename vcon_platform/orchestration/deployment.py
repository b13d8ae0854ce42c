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
from vcon_platform.pipelines.catalogue import Catalogue, catalogue, sources
from vcon_platform.processors.registry import load_processors
from vcon_platform.projections.catalogue import read_projections
from vcon_platform.projections.model import Projection
from vcon_platform.settings import Settings

ROOMS = ("pipelines", "projections", "adapters")


def read_texts(settings: Settings) -> Texts:
    """Every declaration file of this installation, as it is now."""
    folder = settings.pipelines_dir
    return {room: sources(folder if room == "pipelines" else folder / room) for room in ROOMS}


@dataclass(frozen=True, slots=True)
class Deployment:
    """The declarations, checked. ``broken``: file to what is wrong with it."""

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
    pipelines = catalogue(texts["pipelines"], load_processors())
    projections = read_projections(texts["projections"])
    adapters = load_adapters(texts["adapters"], data_dir)
    broken = {
        **{f"pipelines/{name}": fault for name, fault in pipelines.broken.items()},
        **{f"projections/{name}": str(fault) for name, fault in projections.broken.items()},
        **{f"adapters/{name}": str(fault) for name, fault in adapters.broken.items()},
    }
    return Deployment(pipelines, dict(projections), adapters.adapters, broken)

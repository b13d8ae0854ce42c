"""The object store: media by content hash, and what runs write down between ops."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from vcon_platform.settings import load_settings
from vcon_platform.store.media import local_objects

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class ObjectStoreResource(dg.ConfigurableResource[Any]):
    """The object store of this installation's settings: a local folder."""

    _objects: Any = PrivateAttr(default=None)

    def objects(self) -> "ObjectStore":
        """The store, the same one for the whole process."""
        if self._objects is None:
            self._objects = local_objects(load_settings().objects_dir)
        return self._objects  # type: ignore[no-any-return]

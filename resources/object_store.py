"""The object store: media, the archive, and what runs write down between ops."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from vcon_platform.settings import load_settings
from vcon_platform.store.objects import open_objects

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class ObjectStoreResource(dg.ConfigurableResource[Any]):
    """The object store of this installation's settings: a local folder, S3, GCS or Azure."""

    _objects: Any = PrivateAttr(default=None)

    def objects(self) -> "ObjectStore":
        """The store, the same one for the whole process."""
        if self._objects is None:
            self._objects = open_objects(load_settings().objects_url)
        return self._objects  # type: ignore[no-any-return]

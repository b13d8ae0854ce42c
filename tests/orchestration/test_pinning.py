"""A run executes the definitions that its code server had read, not what lies in the folder by then."""

from __future__ import annotations

import orjson
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.metadata.metadata_value import CodeLocationReconstructionMetadataValue
from dagster._core.definitions.repository_definition.repository_definition import RepositoryLoadData

from vcon_platform.orchestration.pinning import KEY, Texts, pinned

EDITED: Texts = {"pipelines": {"recall.yaml": "edited"}, "projections": {}, "adapters": {}}
LOADED: Texts = {"pipelines": {"recall.yaml": "as it was loaded"}, "projections": {}, "adapters": {}}


def test_a_code_server_reads_the_folder_and_hands_the_texts_to_its_runs() -> None:
    context = DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)
    with DefinitionsLoadContext.scoped(context):
        assert pinned(lambda: LOADED) == LOADED
    assert orjson.loads(context.get_pending_reconstruction_metadata()[KEY]) == LOADED


def test_a_run_gets_the_texts_it_was_planned_with() -> None:
    carried = CodeLocationReconstructionMetadataValue(orjson.dumps(LOADED).decode())
    planned = RepositoryLoadData(cacheable_asset_data={}, reconstruction_metadata={KEY: carried}, defs_state_info=None)
    context = DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, planned)
    with DefinitionsLoadContext.scoped(context):
        assert pinned(lambda: EDITED) == LOADED

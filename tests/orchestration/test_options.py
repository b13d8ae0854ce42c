"""Options as Dagster shows and keeps them."""

from __future__ import annotations

import pytest

from vcon_platform.orchestration.options import config_model, options_with
from vcon_platform.processors.analyze import AnalyzeOptions


@pytest.mark.parametrize("given", [{}, {"only_if": {"type": "tags", "includes": "a:b"}}, {"input_dialogs": [0, 2]}])
def test_options_that_hold_models_go_through_a_run_unchanged(given: dict[str, object]) -> None:
    options = AnalyzeOptions.model_validate(given)
    config = config_model("probe", options)
    assert config.to_config_schema().as_field().config_type
    assert options_with(options, config()) == options

"""The processor ``set_parameters``: gives the processors after it values to work with."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from pydantic import Field

from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions


class SetParametersOptions(ProcessorOptions):
    """What ``set_parameters`` can be told."""

    parameters: dict[str, Any] = Field(
        default_factory=dict,
        title="Parameters",
        description="Name to value (any JSON). One that exists already is replaced.",
    )


class SetParameters(Processor[SetParametersOptions]):
    """Copies its option into the parameters."""

    name = "set_parameters"
    version = "1.0.0"
    title = "Set parameters"
    description = "Sets parameters for the processors after it, which may use them in format_options and jq."
    options = SetParametersOptions

    def process(self, io: ProcessorIO, options: SetParametersOptions) -> ProcessorIO:
        """Never refuses."""
        io.parameters.update(deepcopy(options.parameters))  # a later processor may change what it finds
        return io

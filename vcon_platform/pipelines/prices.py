"""Prices: what a minute of audio, a million tokens or a call costs at each service, as an installation writes it down.

They stand in ``prices.yaml`` beside the pipelines. None are shipped: they change, and each contract has its own.

Belongs here: the file, which of its prices is meant, what a use costs. Not here: what was used, budgets
(``purchases.py``).

A model's name may end in ``*``, which stands for the rest of it: services put dates behind the names. The longest name
that fits counts. A price that leaves out what was used (tokens, where it says only what a minute costs) is no price: to
call that free would let a budget be overrun in silence.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vcon_platform.pipelines.faults import DefinitionError, model_faults
from vcon_platform.pipelines.texts import MOST_BYTES, PRICES_FILE, parse_text
from vcon_platform.processors.base import Usage

logger = logging.getLogger(__name__)

FREE = "local"
"""The service that is this machine: it has no price unless the file gives it one."""
_PLACES = Decimal("1e-12")
_MOST = 1_000_000


class PricesUnreadable(DefinitionError):
    """The file of prices has faults; each is named with its place."""


class Price(BaseModel):
    """What a model costs, in the file's currency. 0 is for free."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    per_minute: Decimal | None = Field(default=None, ge=0, le=_MOST)
    """Of audio."""
    per_million_input_tokens: Decimal | None = Field(default=None, ge=0, le=_MOST)
    per_million_output_tokens: Decimal | None = Field(default=None, ge=0, le=_MOST)
    per_call: Decimal | None = Field(default=None, ge=0, le=_MOST)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in Price.model_fields):
            raise ValueError(f"says nothing; give one or more of {', '.join(Price.model_fields)} (0: for free)")
        return self

    def of(self, usage: Usage, calls: int = 1) -> Decimal | None:
        """What this use (the sum of so many calls) costs; None where this price does not say."""
        told = self.per_call is not None or not (usage.seconds or usage.input_tokens or usage.output_tokens)
        price = (self.per_call or Decimal()) * calls
        if self.per_minute is not None:
            told = told or usage.seconds > 0
            price += self.per_minute * Decimal(str(usage.seconds)) / 60
        rates = (self.per_million_input_tokens, self.per_million_output_tokens)
        if rates != (None, None):
            for count, rate in zip((usage.input_tokens, usage.output_tokens), rates, strict=True):
                if count and rate is None:
                    return None
                told = told or count > 0
                price += (rate or Decimal()) * count / 1_000_000
        return price.quantize(_PLACES) if told else None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    currency: str = Field(default="", max_length=10)
    services: dict[str, dict[str, Price]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> Self:
        for service, models in self.services.items():
            for model in models:
                if "*" in model[:-1]:
                    raise ValueError(f"services/{service}/{model}: a '*' may stand at the end of a name only")
        return self


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by service and model."""

    currency: str = ""
    services: Mapping[str, Mapping[str, Price]] = field(default_factory=dict)

    def of(self, usage: Usage, calls: int = 1) -> Decimal | None:
        """What this use (the sum of so many calls) costs, None where no price says."""
        models = self.services.get(usage.service, {})
        if usage.model in models:
            return models[usage.model].of(usage, calls)
        fitting = [name for name in models if name.endswith("*") and usage.model.startswith(name[:-1])]
        if fitting:
            return models[max(fitting, key=len)].of(usage, calls)
        return Decimal() if usage.service == FREE else None


def read_prices(text: str) -> Prices:
    """The prices of a text in YAML. Raises :class:`PricesUnreadable` with every fault and its place."""
    try:
        given = parse_text(PRICES_FILE, text)
        read = _File.model_validate({} if given is None else given)
    except DefinitionError as error:
        raise PricesUnreadable(str(error)) from None
    except ValidationError as error:
        raise PricesUnreadable(f"{PRICES_FILE} has faults", *model_faults(error, _File)) from None
    return Prices(read.currency, read.services)


class PriceFile:
    """The file, read again when it was changed. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PRICES_FILE
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._known: Prices | PricesUnreadable = Prices()

    def current(self) -> Prices:
        """The prices as they are now; none where there is no file. Raises :class:`PricesUnreadable`."""
        with self._lock:
            self._look()
            known = self._known
        if isinstance(known, Prices):
            return known
        raise PricesUnreadable(str(known))

    def _look(self) -> None:
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            with self.path.open("rb") as file:
                text = file.read(MOST_BYTES + 1).decode("utf-8", "replace")
            self._known = read_prices(text)
        except FileNotFoundError:
            self._seen, self._known = None, Prices()
            return
        except OSError as error:
            self._seen = None
            self._known = PricesUnreadable(f"{PRICES_FILE} cannot be read ({type(error).__name__})")
            return
        except PricesUnreadable as error:
            self._known = error
            logger.warning("what is used has no price until this is mended: %s", error)
        self._seen = seen

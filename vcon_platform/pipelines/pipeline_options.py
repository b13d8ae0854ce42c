"""What a pipeline as a whole can be told. One field is validation, documentation and REST schema at once.

Belongs here: each option with its meaning, unit and default. Not here: options of processors (``processors/``), checks
that need more than one option (``definition.py``).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Budget(BaseModel):
    """How much a pipeline may use. What is not said has no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    per: Literal["day", "month", "total"] = Field(
        title="Per", description="The time that the budget is for: a day or a month (in UTC), or all time (total)."
    )
    price: float | None = Field(
        default=None, ge=0, title="Price", description="Most money, in the currency of prices.yaml."
    )
    seconds: float | None = Field(default=None, ge=0, title="Seconds", description="Most seconds of audio.")
    tokens: int | None = Field(
        default=None, ge=0, title="Tokens", description="Most tokens of language models, in and out together."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.price is None and self.seconds is None and self.tokens is None:
            raise ValueError("a budget without 'price', 'seconds' or 'tokens' limits nothing; say one of them")
        return self


class PipelineOptions(BaseModel):
    """Options of a pipeline as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    label: str = Field(default="", title="Label", description="A short name for people.")
    notes: str = Field(default="", title="Notes", description="Remarks for people.")
    comment: str = Field(default="", title="Comment", description="Remarks for people.")
    save_vcons: bool | None = Field(
        default=True, title="Save vCons", description="False: what processors changed is not committed."
    )
    lane: Literal["batch", "stream"] = Field(
        default="batch",
        title="Lane",
        description="batch: what waits is taken by one run, seconds after it came. stream: a run stands by and takes "
        "it within milliseconds.",
    )
    timeout: float | None = Field(
        default=None,
        ge=0,
        title="Time-out",
        description="Seconds that one conversation may spend in the pipeline's processors. 0 or empty: no limit.",
    )
    run_timeout: float | None = Field(
        default=None,
        ge=0,
        title="Run time-out",
        description="Seconds after which Dagster ends a run. 0 or empty: none.",
    )
    success_queue: str | None = Field(
        default=None, title="Success queue", description="The queue that a job enters when it is done."
    )
    failure_queue: str | None = Field(
        default=None,
        title="Failure queue",
        description="The queue that a failed job enters instead of dead:{pipeline}.",
    )
    feeds: tuple[str, ...] = Field(
        default=(),
        title="Feeds",
        description="Further queues whose jobs go to this pipeline as well; a feed may serve several pipelines, and "
        "each gets every job.",
    )
    weight: int = Field(
        default=1,
        ge=1,
        le=1000,
        title="Weight",
        description="While several queues have more waiting than can be worked on, each is served in proportion to "
        "its weight.",
    )
    max_waiting: int | None = Field(
        default=None,
        ge=1,
        title="Most jobs waiting",
        description="Adapters stop and the API answers 429 while more jobs wait in the queue. Empty: no limit.",
    )
    max_runs: int = Field(
        default=1, ge=1, le=16, title="Runs at once", description="Most batch runs of this pipeline under way."
    )
    batch_size: int = Field(
        default=10_000,
        ge=1,
        le=10_000,
        title="Batch size",
        description="Most jobs that one run leases.",
    )
    batch_seconds: float = Field(
        default=120.0,
        gt=0,
        title="Batch seconds",
        description="A run leases about as much as it can do in this time, judged by the runs before it.",
    )
    stream_batch: int = Field(
        default=100, ge=1, le=1000, title="Micro-batch", description="Most jobs leased at a time in the stream lane."
    )
    stream_seconds: float = Field(
        default=600.0, gt=0, title="Stream seconds", description="Age at which a stream run is followed by a fresh one."
    )
    concurrency: int = Field(
        default=64,
        ge=1,
        le=1000,
        title="Conversations at once",
        description="In processors that wait for the network.",
    )
    retries: int = Field(
        default=2,
        ge=0,
        le=20,
        title="Retries",
        description="How often a job that failed for a passing reason (after the tries within its run) is queued "
        "again, later.",
    )
    retry_wait: float = Field(
        default=30.0,
        gt=0,
        title="Wait before a retry",
        description="Seconds before the first retry of a job; each further one waits twice as long, with jitter.",
    )

    consent: Literal["off", "enforced"] = Field(
        default="off",
        title="Consent",
        description="enforced: before every processor that needs a purpose (its effects say so) the conversation's "
        "lawful basis is asked whether it is allowed; what is refused ends there, as filtered by consent. Each answer "
        "is in the ledger.",
    )
    consent_from: Literal["everyone", "customers"] = Field(
        default="everyone",
        title="Consent from whom",
        description="everyone: every party but bots and organizations. customers: also without those whose role is "
        "agent, representative, operator, supervisor, employee or staff.",
    )
    consent_conditions: tuple[str, ...] = Field(
        default=(),
        title="Conditions met",
        description="Conditions of grants that this installation meets. A grant with any other one does not count.",
    )
    budget: Budget | None = Field(
        default=None,
        title="Budget",
        description="What the pipeline may use of services; once it is used up nothing more is bought. Empty: no "
        "limit.",
    )

    @field_validator("success_queue", "failure_queue")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None

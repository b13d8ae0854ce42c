"""The settings of the FreeSWITCH adapter: one declaration for validation, documentation and forms."""

from __future__ import annotations

import re
from pathlib import Path

import phonenumbers
from pydantic import Field, field_validator

from vcon_platform.adapters.base import AdapterSettings
from vcon_platform.adapters.settings import Folder


class FreeSwitchSettings(AdapterSettings):
    """One switch (or cluster that writes into one spool)."""

    records: Folder = Field(
        default=Path("freeswitch/spool/cdr"),
        title="Call records",
        description="mod_json_cdr's log-dir (and err-log-dir, if the same or inside). Sub folders are read too.",
        validate_default=True,
    )
    recordings: Folder = Field(
        default=Path("freeswitch/spool/recordings"),
        title="Recordings",
        description="Where the switch's recordings can be read. Nothing outside this folder is ever opened.",
        validate_default=True,
    )
    archive: Folder = Field(
        default=Path("freeswitch/archive"),
        title="Archive",
        description="YYYY/MM/DD folders with records and recordings of past days, for the historical backfill.",
        validate_default=True,
    )
    encoded_values: bool = Field(
        default=True,
        title="Values are URL-encoded",
        description="mod_json_cdr's encode-values, on unless the switch turned it off.",
    )
    default_region: str = Field(
        default="US",
        title="Region",
        description="Where a number without country code belongs: two letters of ISO 3166 (US, DE, GB...).",
    )
    agent_numbers: str = Field(
        default=r"\d{2,6}",
        title="Agents' numbers",
        description="A regular expression for our own people's numbers. It tells agent from customer, inbound from "
        "outbound, and such numbers stay as they are instead of becoming E.164.",
    )
    settle_seconds: float = Field(
        default=2.0,
        title="Settle",
        description="Seconds a file must have been left alone before it counts as finished.",
        ge=0,
    )
    recording_wait_seconds: float = Field(
        default=120.0,
        title="Wait for the recording",
        description="Seconds after its record was written that an answered call waits for an announced recording. Then "
        "it is captured without one; a recording that comes later is captured when it comes.",
        ge=0,
    )
    b_leg_wait_seconds: float = Field(
        default=5.0,
        title="Wait for B legs",
        description="Seconds after its record was written that a call waits for records of legs it speaks of. Set to "
        "0 where the switch has log-b-leg off.",
        ge=0,
    )
    leg_wait_seconds: float = Field(
        default=3600.0,
        title="Wait for the A leg",
        description="Seconds a B leg's record waits for its A leg's, which is written when that hangs up: after a "
        "transfer, that can be long. Then it becomes a conversation by itself.",
        ge=0,
    )

    @field_validator("default_region")
    @classmethod
    def _known_region(cls, region: str) -> str:
        if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{region!r} is no region with telephone numbers; use two letters such as US, DE or GB")
        return region.upper()

    @field_validator("agent_numbers")
    @classmethod
    def _valid_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

"""What an operator may set for speech to text. These are no options of a processor, because a pipeline definition must
neither name files nor decide whom addresses of recordings are given to.

Belongs here: the settings. Not here: what they are used for (``speech_local.py``, ``speech_engines.py``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SpeechSettings(BaseSettings):
    """Read when an engine is first asked for."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    model_path: Path | None = Field(
        default=None,
        alias="VCON_WHISPER_MODEL_PATH",
        title="Whisper model",
        description="Folder of a Whisper model in CTranslate2 format. Unset: tiny.en, which is installed with us.",
    )
    models: Path | None = Field(
        default=None,
        alias="VCON_WHISPER_MODELS",
        title="Whisper models",
        description="Folder in which each folder is a Whisper model in CTranslate2 format. The engine faster_whisper "
        "takes the one that the option model names.",
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        default="cpu", alias="VCON_WHISPER_DEVICE", title="Device", description="What Whisper runs on."
    )
    compute_type: str = Field(
        default="int8",
        pattern="^[a-z0-9_]{3,20}$",
        alias="VCON_WHISPER_COMPUTE_TYPE",
        title="Numbers",
        description="How CTranslate2 computes: int8 on processors; float16 or int8_float16 on graphics cards.",
    )
    url_hosts: str = Field(
        default="",
        alias="VCON_SPEECH_URL_HOSTS",
        title="Hosts whose addresses may be given away",
        description="Hosts, with commas between, whose recordings' addresses a processor may give to a service that "
        "fetches them itself (option send: url). example.org is that host, .example.org all below it. Empty: none.",
    )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of ``url_hosts``."""
        return tuple(host.strip().lower() for host in self.url_hosts.split(",") if host.strip())

"""Which engine an option names, and what it needs: keys, addresses, models.

Belongs here: the services that are known, their defaults, building an engine for a conversation. Not here: how an
engine works (``speech_*.py``), the options themselves (``transcribe_options.py``).

Keys and addresses stand in the environment. Each engine may name variables of its own service only, so that whoever
writes a definition cannot have one service's key sent to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote, urlsplit

from vcon_platform.processors.openai_calls import ChatService
from vcon_platform.processors.references import NotConfigured, needed, value_of
from vcon_platform.processors.speech import SpeechEngine
from vcon_platform.processors.speech_settings import SpeechSettings
from vcon_platform.vcon.urls import why_blocked

if TYPE_CHECKING:
    from vcon_platform.processors.transcribe_options import TranscribeOptions

EngineName = Literal["local", "faster_whisper", "deepgram", "openai", "groq", "hugging_face", "vfun"]
"""The engines that can be asked for by name."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service that listens. ``key`` and ``address``: the references that count where an option is empty;
    ``prefixes``: of variables that options may name; ``reserved``: what ``engine_options`` may not hold."""

    title: str
    model: str
    key: str
    address: str
    prefixes: tuple[str, ...]
    reserved: tuple[str, ...] = ()
    default_address: str | None = None


_OPENAI = ("file", "model", "language", "response_format", "stream", "api_key", "base_url")

SERVICES: Mapping[str, Service] = {
    "deepgram": Service(
        "Deepgram",
        "nova-3",
        "env:DEEPGRAM_KEY",
        "env:DEEPGRAM_BASE_URL",
        ("DEEPGRAM_",),
        ("model", "language", "detect_language", "callback", "callback_method", "tag"),
    ),
    "openai": Service(
        "OpenAI",
        "whisper-1",
        "env:OPENAI_API_KEY",
        "env:OPENAI_BASE_URL",
        ("OPENAI_", "AZURE_OPENAI_", "LITELLM_"),
        _OPENAI,
    ),
    "groq": Service(
        "Groq",
        "whisper-large-v3-turbo",
        "env:GROQ_API_KEY",
        "env:GROQ_BASE_URL",
        ("GROQ_",),
        (*_OPENAI, "url"),
        "https://api.groq.com/openai/v1",
    ),
    "hugging_face": Service(
        "Hugging Face",
        "openai/whisper-large-v3",
        "env:HUGGINGFACE_API_KEY",
        "env:HUGGINGFACE_API_URL",
        ("HUGGINGFACE_", "HF_"),
        (),
        "https://router.huggingface.co/hf-inference/models/{model}",
    ),
    "vfun": Service(
        "vfun", "vfun", "env:VFUN_API_KEY", "env:VFUN_SERVER_URL", ("VFUN_",), ("language", "file-binary"), None
    ),
}

LOCAL = tuple(name for name in get_args(EngineName) if name not in SERVICES)
"""The engines that work on this machine."""


def engine_for(options: TranscribeOptions) -> SpeechEngine:
    """The engine that the options name. Nothing is loaded or connected yet. Raises NotConfigured naming what is not
    set."""
    name = options.engine
    if name in LOCAL:
        from vcon_platform.processors.speech_local import local_engine, model_engine

        return local_engine() if name == "local" else model_engine(options.model)
    service = SERVICES[name]
    model = options.model or service.model
    if name in ("openai", "groq"):
        from vcon_platform.processors.speech_openai import OpenAIEngine

        return OpenAIEngine(
            name,
            model,
            options.engine_options,
            _chat_service(options, service),
            longest=options.longest_piece,
            seconds=options.answer_within,
        )
    key_from = options.api_key or service.key
    address = _address(options, service)
    if name == "deepgram":
        from vcon_platform.processors.speech_deepgram import DeepgramEngine

        key = needed(key_from, service.title, "api_key")
        return DeepgramEngine(model, options.engine_options, key=key, base_url=address, seconds=options.answer_within)
    from vcon_platform.processors.speech_http import HuggingFaceEngine, VfunEngine

    if address is None:
        raise _no_address(options, service)
    engine = HuggingFaceEngine if name == "hugging_face" else VfunEngine
    return engine(
        name,
        model,
        options.engine_options,
        key=needed(key_from, service.title, "api_key") if name == "hugging_face" else value_of(key_from),
        key_from=key_from.removeprefix("env:"),
        address=address.replace("{model}", quote(model)),
        address_from=(options.base_url or service.address).removeprefix("env:"),
        seconds=options.answer_within,
    )


def _address(options: TranscribeOptions, service: Service) -> str | None:
    """The service's address; None: the one that its SDK knows. An address that an option names must be set: else the
    key that goes with it went to another server."""
    found = value_of(options.base_url or service.address)
    if found is None and options.base_url:
        raise _no_address(options, service)
    return found or service.default_address


def _no_address(options: TranscribeOptions, service: Service) -> NotConfigured:
    variable = (options.base_url or service.address).removeprefix("env:")
    return NotConfigured(
        f"{service.title} is not configured: the environment variable {variable} (option base_url) is not set; set it "
        "in .env, restart the platform and re-execute"
    )


def _chat_service(options: TranscribeOptions, service: Service) -> ChatService:
    key_from = options.api_key or service.key
    azure = None
    if options.azure_endpoint:
        azure = needed(options.azure_endpoint, "Azure OpenAI", "azure_endpoint")
    title = "Azure OpenAI" if azure else service.title
    return ChatService(
        key=needed(key_from, title, "api_key"),
        base_url=None if azure else _address(options, service),
        azure_endpoint=azure,
        api_version=options.api_version if azure else "",
        name=title,
        usage_name="azure_openai" if azure else options.engine,
        key_from=key_from.removeprefix("env:"),
    )


@lru_cache(maxsize=1)
def _hosts() -> tuple[str, ...]:
    return SpeechSettings().hosts


def shareable_url(dialog: Mapping[str, Any]) -> str | None:
    """The address of a dialog's recording, if it may be given to a service: a public https one of a host that the
    operator named (``VCON_SPEECH_URL_HOSTS``). Else None: then the bytes are sent."""
    url = None if "body" in dialog else dialog.get("url")
    if not isinstance(url, str) or why_blocked(url) is not None:
        return None
    host = (urlsplit(url).hostname or "").lower()
    allowed = any(host == each or (each.startswith(".") and host.endswith(each)) for each in _hosts())
    return url if allowed else None

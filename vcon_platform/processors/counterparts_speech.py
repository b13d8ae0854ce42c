"""What the conserver's links for speech to text are here.

Belongs here: their options as ours. Not here: the import itself (``pipelines/conserver_import.py``), other families
(``counterparts_*.py``). Addresses that a link holds are told and not taken: here they stand in the environment, because
a key goes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vcon_platform.processors.counterparts import Counterpart, Options

_USAGE = "usage is not posted anywhere; the ledger keeps it (vcon-platform usage)"
_PROXY = "LiteLLM's proxy is not called for speech; the service is asked itself"
_COMMON_REFUSED = {
    "send_ai_usage_data_to_url": _USAGE,
    "ai_usage_api_token": _USAGE,
    "LITELLM_PROXY_URL": _PROXY,
    "LITELLM_MASTER_KEY": _PROXY,
}
_KEPT_TYPE = "Content-Type"
_NO_TYPE = "the kind of audio is told by its first bytes"


class _Link:
    """A link's options over its defaults, taken one by one; what is left over is refused."""

    def __init__(self, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self._left = {**defaults, **{name: value for name, value in given.items() if value is not None}}
        self.result = Options({})

    def take(self, *names: str) -> Any:
        """The first of these that is set; all of them count as taken."""
        found = [value for name in names if (value := self._left.pop(name, None)) not in (None, "")]
        return found[0] if found else None

    def set(self, option: str, value: Any) -> None:
        """One of our options, unless there is no value."""
        if value is not None:
            self.result.options[option] = value

    def key(self, *names: str) -> None:
        """The key: a reference is taken; a variable of the usual name needs none."""
        found = self.take(*names)
        if isinstance(found, str) and found.startswith("env:"):
            self.set("api_key", found)

    def address(self, variable: str, *names: str) -> None:
        """An address: to be set in the environment."""
        if found := self.take(*names):
            self.note(f"set the environment variable {variable} to {str(found).removeprefix('env:')}")

    def note(self, sentence: str) -> None:
        """Say what behaves otherwise."""
        self.result.notes.append(sentence)

    def refuse(self, why: Mapping[str, str]) -> Options:
        """The end: what was not taken has no counterpart."""
        for name in self._left:
            self.result.refused[name] = why.get(name) or _COMMON_REFUSED.get(name) or "is no option of this link"
        return self.result


def _deepgram(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"minimum_duration": 60, "minimum_confidence": 0.5})
    link.key("DEEPGRAM_KEY")
    api = link.take("api")
    asked = dict(api) if isinstance(api, dict) else {}
    detect = asked.pop("detect_language", False)
    spoken = asked.pop("language", None)
    link.set("language", spoken or ("auto" if detect else "en"))
    link.set("model", asked.pop("model", None) or link.take("model"))
    link.take("model")
    if "model" not in link.result.options:
        link.note("the model is nova-3, as none is named; to the link it is whatever Deepgram takes then")
    for switch in ("punctuate", "smart_format", "diarize", "multichannel"):
        link.set(switch, bool(asked.pop(switch, False)))
    for gone in ("callback", "callback_method", "tag"):
        if asked.pop(gone, None) is not None:
            link.result.refused[f"api.{gone}"] = "the reply must come back here"
    link.set("additional", asked or None)
    _numbers(link, "minimum_duration", "minimum_confidence")
    return link.refuse({})


def _openai(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"model": "gpt-4o-transcribe", "minimum_duration": 3, "max_chunk_duration": 480})
    link.set("engine", "openai")
    link.set("model", link.take("model"))
    azure = link.take("AZURE_OPENAI_ENDPOINT")
    if azure:
        link.set("azure_endpoint", "env:AZURE_OPENAI_ENDPOINT")
        link.note(f"set the environment variable AZURE_OPENAI_ENDPOINT to {str(azure).removeprefix('env:')}")
        link.key("AZURE_OPENAI_API_KEY")
        if "api_key" not in link.result.options:
            link.set("api_key", "env:AZURE_OPENAI_API_KEY")
        link.set("api_version", link.take("AZURE_OPENAI_API_VERSION"))
    else:
        link.key("OPENAI_API_KEY", "openai_api_key", "api_key")
    _language(link)
    _numbers(link, "minimum_duration")
    longest = link.take("max_chunk_duration")
    if isinstance(longest, int | float) and not isinstance(longest, bool):
        link.set("max_chunk_duration", min(700.0, max(30.0, float(longest))))
        if not 30 <= longest <= 700:
            link.note("max_chunk_duration is from 30 to 700 s here: a longer piece need not fit into one request")
    for name in ("use_silence_chunking", "silence_thresh", "silence_len"):
        if link.take(name) is not None and name in given:
            link.note(f"{name} has no effect: a long recording is cut where it is quietest")
    for name in ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_API_VERSION", "OPENAI_API_KEY", "openai_api_key", "api_key"):
        link.take(name)
    return link.refuse({})


def _groq(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"minimum_duration": 30})
    link.set("engine", "groq")
    link.key("API_KEY")
    _language(link)
    _numbers(link, "minimum_duration")
    return link.refuse({_KEPT_TYPE: _NO_TYPE})


def _hugging_face(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"minimum_duration": 30})
    link.set("engine", "hugging_face")
    link.key("API_KEY")
    link.address("HUGGINGFACE_API_URL", "API_URL")
    _language(link)
    _numbers(link, "minimum_duration")
    return link.refuse({_KEPT_TYPE: _NO_TYPE})


def _vfun(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"diarize": False, "vfun-timeout": 300})
    link.set("engine", "vfun")
    link.set("outputs", ["wtf"])
    link.set("keep_reply", False)
    link.key("api-key")
    link.address("VFUN_SERVER_URL", "vfun-server-url")
    _language(link)
    link.set("engine_options", {"diarize": bool(link.take("diarize"))})
    seconds = link.take("vfun-timeout")
    if isinstance(seconds, int | float) and seconds > 0:
        link.set("answer_within", min(3600.0, float(seconds)))
    return link.refuse({"url-timeout": "how long a recording may take to fetch is VCON_FETCH_SECONDS"})


def _transcribe(given: Mapping[str, Any]) -> Options:
    """The link that hands on to another by its option ``vendor``."""
    vendor = given.get("vendor") or "whisper_builtin"
    options = given.get("vendor_options") or given.get("transcribe_options") or {}
    options = options if isinstance(options, dict) else {}
    others: dict[str, Callable[[Mapping[str, Any]], Options]] = {
        "openai": _openai,
        "groq": _groq,
        "hugging_face": _hugging_face,
        "deepgram": _deepgram_engine,
    }
    if isinstance(vendor, str) and vendor in others:
        found = others[vendor](options)
    else:
        found = _builtin(options)
        if vendor not in ("whisper_builtin", "whisper"):
            found.refused["vendor"] = f"{vendor!r} is no vendor that the link knows; Whisper on this machine is taken"
    for name in sorted(set(given) - {"vendor", "vendor_options", "transcribe_options"}):
        found.refused[name] = _COMMON_REFUSED.get(name, "is no option of this link")
    return found


def _builtin(given: Mapping[str, Any]) -> Options:
    link = _Link(given, {"model_size": "base"})
    link.set("engine", "local")
    size = link.take("model_size")
    link.note(
        f"the model is this installation's, tiny.en unless VCON_WHISPER_MODEL_PATH names another; for {size!r} put it "
        "into VCON_WHISPER_MODELS and set engine to faster_whisper and model to its folder's name"
    )
    link.set("language", link.take("language"))
    if link.take("output_options") is not None and "output_options" in given:
        link.note("captions (word_srt, word_ass) are written by the processor whisper_base")
    return link.refuse({})


def _deepgram_engine(given: Mapping[str, Any]) -> Options:
    """Deepgram as ``transcribe`` asks it."""
    found = _deepgram(given)
    ours = found.options
    switches = {name: ours.pop(name) for name in ("punctuate", "smart_format", "diarize", "multichannel")}
    ours["engine"] = "deepgram"
    ours["engine_options"] = {**switches, **ours.pop("additional", {})}
    return found


def _language(link: _Link) -> None:
    """These links send none, whatever their option says; ours is sent."""
    spoken = link.take("language")
    link.set("language", spoken or "auto")
    if spoken:
        link.note("the language is sent to the service; the link leaves it out")


def _numbers(link: _Link, *names: str) -> None:
    for name in names:
        value = link.take(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            link.set(name, float(value))


_FAILS = "a failure of the service fails the conversation, and it is tried again; the link may pass it over"
_BODY = (
    "the body has the one shape of all engines (WTF: text, segments, words); the service's answer stands in its member "
    "extensions"
)

COUNTERPARTS: tuple[Counterpart, ...] = (
    Counterpart(
        "transcribe",
        "transcribe",
        _transcribe,
        (
            "Whisper works without further installation; the model is tiny.en unless a setting names another",
            _BODY,
        ),
    ),
    Counterpart(
        "deepgram_link",
        "deepgram",
        _deepgram,
        (
            "recordings inside the vCon are heard too; one at an address is fetched by the guarded fetcher and sent as "
            "bytes, or by its address where the operator allows it (send: url)",
            "the body is Deepgram's whole reply, not its first alternative alone",
            "usage goes into the ledger, not to an address",
        ),
    ),
    Counterpart(
        "openai_transcribe",
        "transcribe",
        _openai,
        (
            "recordings inside the vCon are heard too, and the language is sent",
            "long recordings are cut where they are quietest, without overlap, and every piece's times are those of "
            "the recording; a piece that was bought is not bought again when a later one fails",
            "two channels are heard one by one and put down to parties (channels: mix is as before)",
            _BODY,
        ),
    ),
    Counterpart(
        "groq_whisper",
        "transcribe",
        _groq,
        (
            "the model can be chosen; words have times",
            "long recordings are cut as for openai_transcribe",
            _FAILS,
            _BODY,
        ),
    ),
    Counterpart("hugging_face_whisper", "transcribe", _hugging_face, (_FAILS, _BODY)),
    Counterpart(
        "wtf_transcribe",
        "transcribe",
        _vfun,
        ("parties are added to the segments of a recording whose dialog names one", _FAILS),
    ),
)
"""The six links."""

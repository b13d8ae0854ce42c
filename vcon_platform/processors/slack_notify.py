"""The processor ``slack_notify``: one message in a Slack channel about a conversation, sent once, after it is settled.

Belongs here: the options, the message, what each of Slack's answers means. Not here: doing it once
(``store/effects.py``).

What a conversation says is shown as plain text: nobody who was recorded can mention a channel, make a link or forge a
button. Slack has no key by which it could tell doubles, so whatever leaves open whether the message was posted is put
aside for an operator.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.processors.base import (
    Effect,
    Effects,
    NotApplicable,
    OutcomeUnknown,
    PermanentError,
    Processor,
    ProcessorError,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.enclosed import body_of
from vcon_platform.processors.model_options import OnlyIf, holds
from vcon_platform.processors.once import OncePer, about, once_per_field
from vcon_platform.processors.references import needed, reference
from vcon_platform.store.retry_after import seconds_in

SECONDS = 20.0
"""For one answer of Slack's."""
OWN_ADDRESS = "https://slack.com/api/"
MOST_TEXT = 2900
"""Characters of one block; Slack takes 3000."""

_UUID = "{uuid}"
_TRANSIENT = frozenset({"ratelimited", "rate_limited", "request_timeout", "service_unavailable", "team_added_to_org"})
_UNCLEAR = frozenset({"internal_error", "fatal_error"})
"""Slack: "it's possible some aspect of the operation succeeded before the error was raised"."""
_CURES: Mapping[str, str] = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"),
        "check the token and the variable that holds it",
    ),
    "channel_not_found": "check the option channel, and invite the app to it if it is a private one",
    "not_in_channel": "invite the app to the channel",
    "is_archived": "choose another channel",
    "missing_scope": "the app needs the scope chat:write",
    "restricted_action": "an administrator of the workspace must allow it",
}
_Secret = Annotated[str, AfterValidator(reference("SLACK_"))]


def _link(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\x00-\x20\x7f<>|\\]{1,2000}", value):
        raise ValueError("must be an address, https://host/path, in which {uuid} stands for the vCon's uuid")
    return value


class SlackNotifyOptions(ProcessorOptions):
    """What ``slack_notify`` must be told."""

    channel: str = Field(
        default="",
        pattern=r"^([#@]?[^\x00-\x20#@<>&]{1,80})?$",
        title="Channel",
        description="The channel's name or id; the app must be in it. Required; format_options can choose it.",
    )
    text: str = Field(
        default="A conversation was processed",
        min_length=1,
        max_length=10_000,
        title="Text",
        description="The message's first lines, shown as they are. format_options puts parameters into it.",
    )
    analysis_type: str = Field(
        default="",
        max_length=200,
        title="Analysis",
        description="Type of the analysis whose newest body is shown below, as summary; a vCon without one is told of "
        "without it. Empty: none.",
    )
    link: Annotated[str, AfterValidator(_link)] = Field(
        default="",
        title="Link",
        description="Address of a button, e.g. https://crm.example.com/calls/{uuid}; {uuid} stands for the vCon's. "
        "Empty: no button.",
    )
    link_text: str = Field(
        default="Details", min_length=1, max_length=75, title="Text of the link", description="What the button says."
    )
    only_if: OnlyIf | None = Field(
        default=None,
        title="Only if",
        description="Tell only of a conversation that has such an attachment or analysis, e.g. {section: analysis, "
        "type: customer_frustration, includes: NEEDS REVIEW}; others go on unchanged.",
    )
    once_per: OncePer = once_per_field("The message is posted")
    token: _Secret = Field(
        default="env:SLACK_BOT_TOKEN",
        title="Token",
        description="The variable that holds the app's bot token (xoxb-…), which needs the scope chat:write.",
        json_schema_extra={"secret": True},
    )
    base_url: _Secret = Field(
        default="",
        title="Address",
        description="The variable that holds the address of Slack's API where it is another one than "
        "https://slack.com/api/, e.g. env:SLACK_API_URL. Never the address itself, for the token goes there.",
    )


class SlackNotify(Processor[SlackNotifyOptions]):
    """A message in a channel."""

    name = "slack_notify"
    version = "1.0.0"
    title = "Tell a Slack channel"
    description = (
        "Posts one message per conversation into a Slack channel, after it is settled and once: a text, an analysis if "
        "wanted, a button that leads to the conversation."
    )
    effects = Effects(sends=True)
    options = SlackNotifyOptions

    def process(self, io: ProcessorIO, options: SlackNotifyOptions) -> ProcessorIO:
        """Asks for the message. Raises PermanentError where the channel is missing, NotConfigured where a variable is,
        NotApplicable where ``only_if`` does not hold."""
        if options.only_if is not None and not holds(io.vcon, options.only_if):
            raise NotApplicable(f"only_if: no {options.only_if.section} of that type includes what it asks for")
        if not options.channel:
            raise PermanentError("/channel: is empty; name the channel that is told")
        _configured(options.token, options.base_url)
        found = _analysis(io, options.analysis_type)
        body = {
            "channel": options.channel,
            "text": options.text,
            "analysis": found,
            "link": options.link.replace(_UUID, quote(io.vcon.uuid, safe="")),
            "link_text": options.link_text,
            "pipeline": io.context.pipeline,
            "token": options.token,
            "base_url": options.base_url,
        }
        io.send(Effect(body, "a Slack message", about(io, options.once_per, options.channel)))
        return io

    def deliver(self, effect: Effect, key: str) -> None:
        """Post the message. Its metadata holds the effect's key, by which it can be looked up."""
        from http.client import HTTPException
        from urllib.error import URLError

        from slack_sdk import WebClient
        from slack_sdk.errors import SlackApiError, SlackClientError

        wanted = effect.body
        token, address = _configured(wanted["token"], wanted["base_url"])
        client = WebClient(
            token=token,
            base_url=address,
            timeout=int(SECONDS),
            retry_handlers=[],
            logger=_quiet(),
            user_agent_prefix=None,
        )
        try:
            client.chat_postMessage(
                channel=wanted["channel"],
                text=_escaped(wanted["text"]),
                blocks=blocks(wanted),
                unfurl_links=False,
                unfurl_media=False,
                metadata={"event_type": "vcon_processed", "event_payload": {"key": key}},
            )
        except SlackApiError as error:
            raise _refusal(error.response) from None
        except URLError as error:  # nothing, or not all of it, was sent
            raise TransientError(f"Slack cannot be reached ({type(error.reason).__name__})") from None
        except (OSError, HTTPException, ValueError, SlackClientError) as error:
            raise _unclear(f"the connection broke, or its answer could not be read ({type(error).__name__})") from None


def blocks(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The message in Slack's Block Kit. Text that is too long for a block says that it goes on."""
    built = [_section(wanted["text"])]
    if wanted["analysis"]:
        built.append(_section(wanted["analysis"]))
    if wanted["link"]:
        text = {"type": "plain_text", "text": wanted["link_text"], "emoji": False}
        built.append(
            {
                "type": "actions",
                "elements": [{"type": "button", "text": text, "url": wanted["link"], "action_id": "open"}],
            }
        )
    built.append({"type": "context", "elements": [{"type": "plain_text", "text": f"Pipeline {wanted['pipeline']}"}]})
    return built


def _section(text: str) -> dict[str, Any]:
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT].rstrip() + " … (it goes on in the vCon)"
    return {"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _escaped(text: str) -> str:
    """The text for notifications, in which these three could mention somebody."""
    return text[:MOST_TEXT].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _analysis(io: ProcessorIO, kind: str) -> str:
    """The text of the newest analysis of this type, "" where there is none."""
    if not kind:
        return ""
    for index in reversed(range(len(io.vcon.analysis))):
        entry = io.vcon.analysis[index]
        if not isinstance(entry, dict) or entry.get("type") != kind:
            continue
        body = entry.get("body")
        if body is None and "url" in entry:
            body = body_of(entry, io.context.media, f"/analysis/{index}").decode("utf-8", "replace")
        text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
        return text.strip()
    return ""


def _configured(token: str, base_url: str) -> tuple[str, str]:
    """Token and address."""
    address = needed(base_url, "Slack", "base_url") if base_url else OWN_ADDRESS
    return needed(token, "Slack", "token"), address.rstrip("/") + "/"


def _refusal(response: Any) -> ProcessorError:
    """What an answer without ``ok`` means."""
    data = response.data if isinstance(response.data, dict) else {}
    code, status = str(data.get("error", "")), int(response.status_code or 0)
    named = code if re.fullmatch(r"[a-z_]{1,60}", code) else ""
    told = f"Slack did not post the message ({named or f'status {status}'})"
    if status in (429, 503) or named in _TRANSIENT:
        return TransientError(told, retry_after=seconds_in(response.headers))
    if status >= 500 or named in _UNCLEAR or (200 <= status < 300 and not named):
        return _unclear(f"it answered {named or f'with status {status} and no JSON of its own'}")
    cure = _CURES.get(named)
    return PermanentError(f"{told}; {cure}" if cure else told)


def _unclear(what: str) -> OutcomeUnknown:
    return OutcomeUnknown(f"Slack: {what}; look whether the message is in the channel, then resend or drop it")


def _quiet() -> logging.Logger:
    """The SDK logs what people said, and answers that it cannot read."""
    logger = logging.getLogger("vcon_platform.slack_sdk")
    logger.setLevel(logging.CRITICAL + 1)
    return logger

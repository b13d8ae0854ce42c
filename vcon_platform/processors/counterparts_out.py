"""The conserver's links that send, take out and attest, as processors of ours.

Belongs here: what each option of such a link is here, and what is different. Not here: the shape of an entry
(``counterparts.py``), the import (``pipelines/conserver_import.py``), what the processors do.

Addresses to which a key goes, and stores that are written to, stand in the environment here: the entries say which
variable to set to what. Whatever an option holds, the result is valid: each is tried, and what cannot be is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from pydantic import ValidationError

from vcon_platform.processors.base import ProcessorOptions
from vcon_platform.processors.counterparts import Counterpart, Options
from vcon_platform.processors.datatrails import OWN_ADDRESS, TOKEN_PATH, DataTrailsOptions
from vcon_platform.processors.diet import DietOptions
from vcon_platform.processors.expire import ExpireOptions
from vcon_platform.processors.outgoing import HOSTS
from vcon_platform.processors.scitt import ScittOptions
from vcon_platform.processors.slack_notify import SlackNotifyOptions
from vcon_platform.processors.webhook import WebhookOptions

_AFTERWARDS = "it is sent after the conversation is settled, and once, also when the pipeline is run again"


class _Link:
    """A link's options over its defaults, taken one by one; what is left over is refused."""

    def __init__(
        self, given: Mapping[str, Any], options: type[ProcessorOptions], defaults: Mapping[str, Any] | None = None
    ) -> None:
        self._left = {**(defaults or {}), **{name: value for name, value in given.items() if value is not None}}
        self._options = options
        self.told = Options({})

    def take(self, name: str) -> Any:
        """An option, None where it says nothing."""
        value = self._left.pop(name, None)
        return None if value == "" else value

    def keep(self, option: str, value: Any, name: str = "") -> bool:
        """Set one of our options, if it can have that value; else tell it at the link's option ``name``. True if it
        was set."""
        if value is None:
            return False
        try:
            self._options.model_validate({**self.told.options, option: value})
        except ValidationError as error:
            if name:  # the value may be a secret: only what is wrong with it is told
                why = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
                self.told.refused[name] = f"cannot be taken over: {why}"
            return False
        self.told.options[option] = value
        return True

    def same(self, name: str, option: str = "") -> None:
        """An option that is one of ours."""
        self.keep(option or name, self.take(name), name)

    def note(self, sentence: str) -> None:
        """Say what behaves otherwise, or what is to be done."""
        self.told.notes.append(sentence)

    def set_variable(self, variable: str, value: Any, name: str) -> None:
        """Say which variable to set: a value that stands in the configuration, or in a variable already."""
        shown = str(value)
        what = f"what {shown.removeprefix('env:')} holds" if shown.startswith("env:") else shown
        self.note(f"{name}: set the environment variable {variable} to {what}")

    def end(self, why: Mapping[str, str] | None = None) -> Options:
        """What was not taken has no counterpart."""
        for name in self._left:
            self.told.refused[name] = (why or {}).get(name, "is no option that the link has")
        return self.told


def _webhook(given: Mapping[str, Any]) -> Options:
    link = _Link(given, WebhookOptions)
    headers = link.take("headers")
    kept: dict[str, str] = {"Content-Type": "application/json"}
    if headers is not None and not isinstance(headers, Mapping):
        link.told.refused["headers"] = "is no object of names and texts"
    for name, value in headers.items() if isinstance(headers, Mapping) else ():
        fitting = {each: text for each, text in kept.items() if each.lower() != str(name).lower()}
        if isinstance(value, str) and link.keep("headers", {**fitting, str(name): value}, f"headers.{name}"):
            kept = {**fitting, str(name): value}
        elif not isinstance(value, str):
            link.told.refused[f"headers.{name}"] = "is no text"
    link.keep("headers", kept)
    urls = link.take("webhook-urls")
    found: list[str] = []
    for index, url in enumerate(urls if isinstance(urls, list) else [urls] if urls else []):
        if isinstance(url, str) and link.keep("urls", [*found, url], f"webhook-urls.{index}"):
            found.append(url)
    secret = any(value.startswith("env:") for value in kept.values())
    hosts = sorted({_host(url) for url in found if not url.startswith("env:") and (secret or _plain(url))} - {""})
    if hosts:
        why = "a header holds a secret" if secret else "they are called without TLS"
        link.note(f"webhook-urls: set {HOSTS} to {','.join(hosts)}: {why}, which this installation must allow")
    if not found:
        link.note("webhook-urls: none is left, so every conversation fails here; name one")
    return link.end()


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("env:")


def _plain(url: str) -> bool:
    return url.startswith("http://")


def _slack(given: Mapping[str, Any]) -> Options:
    condition = {"analysis_type": "customer_frustration", "includes": "NEEDS REVIEW"}
    link = _Link(given, SlackNotifyOptions, {"only_if": condition})
    link.keep("text", "Check this out")
    link.keep("analysis_type", "summary")
    link.same("token")
    link.same("default_channel_name", "channel")
    if "channel" not in link.told.options:
        link.note("default_channel_name: is needed; without it every conversation fails here")
    for name in ("channel_name", "analysis_to_post"):
        if link.take(name) is not None:
            link.note(f"{name}: has no effect in the conserver either; left out")
    wanted = link.take("only_if")
    if isinstance(wanted, Mapping):
        wanted = {**condition, **wanted}
        only = {"section": "analysis", "type": wanted["analysis_type"], "includes": wanted["includes"]}
        link.keep("only_if", only, "only_if")
    else:
        link.told.refused["only_if"] = "is no object with analysis_type and includes"
    url = link.take("url")
    if isinstance(url, str):
        if "{vcon_id}" in url:
            link.keep("link", url.replace("{vcon_id}", "{uuid}"), "url")
        elif link.keep("link", f"{url}?_vcon_id=%22{{uuid}}%22", "url"):
            link.note(
                "url: quotation marks around the uuid are written %22, as in any address; {uuid} can stand elsewhere"
            )
    elif url is not None:
        link.told.refused["url"] = "is no text"
    return link.end()


def _diet(given: Mapping[str, Any]) -> Options:
    link = _Link(given, DietOptions)
    for name in ("remove_dialog_body", "remove_analysis", "remove_system_prompts"):
        link.same(name)
    types = link.take("remove_attachment_types")
    link.keep(
        "remove_attachment_types", types if isinstance(types, list) else types and [types], "remove_attachment_types"
    )
    bucket, path = link.take("s3_bucket"), link.take("s3_path")
    region, expiry = link.take("aws_region"), link.take("presigned_url_expiration")
    access, secret = link.take("aws_access_key_id"), link.take("aws_secret_access_key")
    posted = link.take("post_media_to_url")
    if bucket:
        link.keep("copies", "env:DIET_STORE_URL")
        options = {"region": str(region or "us-east-1"), "access_key_id": access, "secret_access_key": secret}
        named = {option: value for option, value in options.items() if option == "region" or _is_reference(value)}
        store = f"s3://{bucket}" + (f"/{quote(str(path).strip('/'))}" if path else "")
        link.set_variable("DIET_STORE_URL", f"{store}?{urlencode(named, safe=':')}", "s3_bucket")
        if isinstance(expiry, int | float) and not isinstance(expiry, bool) and expiry == expiry:
            link.keep("signed_for", int(min(7 * 86_400, max(60, expiry))), "presigned_url_expiration")
        else:
            link.note(
                "presigned_url_expiration: urls are not signed, so they last, and reading needs the bucket's "
                "permission; the link's end after an hour"
            )
    if posted:
        if bucket:
            link.note("post_media_to_url: has no effect beside a bucket, as in the conserver; left out")
        elif link.keep("post_media_to_url", posted, "post_media_to_url") and isinstance(posted, str) and _plain(posted):
            link.note(f"post_media_to_url: is called without TLS; set {HOSTS} to {_host(posted)}")
    return link.end()


def _expire(given: Mapping[str, Any]) -> Options:
    link = _Link(given, ExpireOptions)
    seconds = link.take("seconds")
    whole = isinstance(seconds, int | float) and not isinstance(seconds, bool) and float(seconds).is_integer()
    link.keep("seconds", int(seconds) if whole else seconds, "seconds")
    return link.end()


def _datatrails(given: Mapping[str, Any]) -> Options:
    link = _Link(
        given,
        DataTrailsOptions,
        {"asset_attributes": {"arc_display_type": "vcon_droid", "conserver_link_version": "0.3.0"}},
    )
    link.same("vcon_operation")
    link.same("asset_attributes")
    partner = link.take("partner_id")
    link.keep("partner_id", None if partner == "not-set" else partner, "partner_id")
    address = link.take("api_url")
    if address and str(address).rstrip("/") != OWN_ADDRESS:
        link.keep("api_url", "env:DATATRAILS_API_URL")
        link.set_variable("DATATRAILS_API_URL", address, "api_url")
    auth = link.take("auth")
    link.take("auth_url")
    if isinstance(auth, Mapping):
        if client := auth.get("client_id"):
            link.set_variable("DATATRAILS_CLIENT_ID", client, "auth")
        if not link.keep("client_secret", auth.get("client_secret")):
            link.note("auth: set the environment variable DATATRAILS_CLIENT_SECRET to the client's secret")
        if auth.get("token_endpoint"):
            link.note(f"auth: tokens are asked for at the API's own address, {TOKEN_PATH}")
        kind = auth.get("type")
        if kind is not None and str(kind).lower() != "oidc-client-credentials":
            link.told.refused["auth.type"] = "only OIDC-client-credentials is known, here and there"
    elif auth is not None:
        link.told.refused["auth"] = "is no object"
    return link.end()


def _scitt(given: Mapping[str, Any]) -> Options:
    defaults = {
        "scrapi_url": "http://scittles:8000",
        "signing_key_path": "/etc/scitt/signing-key.pem",
        "issuer": "conserver",
        "key_id": "conserver-key-1",
    }
    link = _Link(given, ScittOptions, defaults)
    link.keep("claims_label", 13)
    link.keep("subjects", "parties")
    link.keep("pseudonym_key", "env:SCITT_PSEUDONYM_KEY")
    link.note(
        "parties are stated under pseudonyms: set the environment variable SCITT_PSEUDONYM_KEY to a long secret of "
        "your own, and keep it"
    )
    for name in ("issuer", "key_id", "vcon_operation", "store_receipt"):
        link.same(name)
    link.set_variable("SCITT_URL", link.take("scrapi_url"), "scrapi_url")
    pem, path = link.take("signing_key_pem"), link.take("signing_key_path")
    if pem and link.keep("signing_key", pem, "signing_key_pem"):
        link.note("signing_key_pem: the variable holds the PEM text itself here, not its base64")
    elif path:
        name = PurePosixPath(str(path)).name
        if link.keep("signing_key", f"file:{name}", "signing_key_path"):
            link.note(f"signing_key_path: put {name} into the folder of VCON_KEYS_DIR")
    return link.end()


_ELSEWHERE = (
    "nothing is taken out before its copy was read back and has the same hash; where that fails the vCon stays whole "
    "and is tried again. Without a bucket or service, the archive of this platform is the copy"
)

COUNTERPARTS: tuple[Counterpart, ...] = (
    Counterpart(
        "webhook",
        "webhook",
        _webhook,
        (
            _AFTERWARDS,
            "the answer's status counts, there is a time limit, and what may pass is tried again, for about 15 hours",
            "each address by itself; signed on request, with an Idempotency-Key; hosts inside must be allowed",
        ),
    ),
    Counterpart(
        "post_analysis_to_slack",
        "slack_notify",
        _slack,
        (
            _AFTERWARDS,
            "one message per conversation, not one per analysis; was_posted_to_slack is not written into the vCon",
            "there are no channels by one customer's attachment: the channel is an option that format_options can fill",
            "what people said is shown as plain text, so that it can mention nobody",
        ),
    ),
    Counterpart(
        "diet",
        "diet",
        _diet,
        (
            _ELSEWHERE,
            "a dialog keeps its content_hash, and has url rather than a body with body_type: url",
            "urls are signed only on request; names in the bucket are made of uuid and hash, so a repetition makes no "
            "second copy",
            "attachments go by mediatype (or purpose), which vCons have; the link asks for mime_type",
        ),
    ),
    Counterpart(
        "expire_vcon",
        "expire",
        _expire,
        ("the document alone leaves Redis, after the job; it stays in the archive and comes back when asked for",),
    ),
    Counterpart(
        "datatrails",
        "datatrails",
        _datatrails,
        (
            _AFTERWARDS,
            "the fingerprint is over the canonical form (RFC 8785) and does not depend on where a recording is kept",
            "one event: of an asset where asset_attributes are given, else without one; the link tries both",
        ),
    ),
    Counterpart(
        "scitt",
        "scitt",
        _scitt,
        (
            "no number gets into the log: a party is a keyed pseudonym (HMAC), the vCon its uuid",
            "mail and SIP addresses count as parties, too, and one number is one party however it is written",
            "the service's keys can be pinned; a retry registers nothing again; the statement is kept with its receipt",
            "the payload is JSON {operation, subject, vcon_hash}, and the key is P-256, P-384 or Ed25519",
        ),
    ),
)
"""Every link of this family."""

"""Bearer tokens of an identity provider (OpenID Connect): JSON Web Tokens, checked with the provider's own keys.

Belongs here: which tokens are good, and what a good one says of its bearer. Not here: which of our scopes a route
wants.

The provider's keys are fetched once and again when a token names one that is not known, at most once a minute: whoever
sends nonsense must not have us ask the provider each time. Algorithms are an allow-list of signatures by public keys.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vcon_platform.access.caller import EVERYTHING, OIDC, Caller, NotKnown, Visible
from vcon_platform.access.scopes import ScopeRefused, scope
from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LEEWAY = 60
"""Seconds that the provider's clock and ours may differ."""
AGAIN = 60.0
"""Seconds between two looks for new keys."""
TOO_LONG = 16_384
"""Characters; no token of any provider is that long."""


class ProviderUnavailable(PlatformError):
    """The identity provider's keys cannot be had."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Whose tokens are taken. ``scope_claim``: the claim that lists scopes, as a text with blanks or a list; with
    ``prefix`` before each of ours (``vcon:read``), if it is set. Claims named ``vcon_tags`` and ``vcon_adapters`` say
    which vCons their bearer may see."""

    issuer: str
    audience: str
    jwks_url: str = ""
    scope_claim: str = "scope"
    prefix: str = ""


Fetch = Callable[[str], Mapping[str, Any]]
"""Gets a JSON object from an address of the provider."""


class Tokens:
    """Checks tokens of one provider. Thread-safe."""

    def __init__(
        self, provider: Provider, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._provider = provider
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._keys: KeySet | None = None
        self._looked = float("-inf")
        self._lock = threading.Lock()

    def caller(self, text: str) -> Caller:
        """Whose token it is. Raises :class:`NotKnown` with the reason, :class:`ProviderUnavailable`."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(text) > TOO_LONG or text.count(".") != 2:
            raise NotKnown("This is neither a key nor a token.")
        try:
            claims = self._decoded(text).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY,
                iss={"essential": True, "value": self._provider.issuer},
                aud={"essential": True, "value": self._provider.audience},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise NotKnown(
                f"The token is not good ({_why(error)}); get a new one from {self._provider.issuer}."
            ) from None
        return self._bearer(claims)

    def _decoded(self, text: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, InvalidKeyIdError

        keys = self._key_set()
        try:
            return jwt.decode(text, keys, algorithms=list(ALGORITHMS))
        except (InvalidKeyIdError, BadSignatureError):  # the provider may have new keys
            fresh = self._key_set(renew=True)
            if fresh is keys:
                raise
            return jwt.decode(text, fresh, algorithms=list(ALGORITHMS))

    def _key_set(self, *, renew: bool = False) -> KeySet:
        with self._lock:
            if self._keys is not None and (not renew or self._clock() - self._looked < AGAIN):
                return self._keys
            if self._keys is None and self._clock() - self._looked < 1:
                raise ProviderUnavailable(f"The keys of {self._provider.issuer} cannot be had; see the log.")
            self._looked = self._clock()
            self._keys = self._fetched()
            return self._keys

    def _fetched(self) -> KeySet:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        provider = self._provider
        url = provider.jwks_url
        if not url:
            found = self._fetch(f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
            url = str(found.get("jwks_uri") or "")
            if found.get("issuer") != provider.issuer or not url:
                raise ProviderUnavailable(
                    f"{provider.issuer} describes another issuer, or names no keys; correct VCON_OIDC_ISSUER or set "
                    "VCON_OIDC_JWKS_URL."
                )
        entries = self._fetch(url).get("keys")
        usable: list[Any] = []
        for entry in entries if isinstance(entries, list) else []:
            try:  # a provider may have keys of kinds that we do not know
                KeySet.import_key_set({"keys": [entry]})
            except (JoseError, ValueError, KeyError, TypeError):
                continue
            if isinstance(entry, dict) and entry.get("use", "sig") == "sig" and entry.get("kty") != "oct":
                usable.append(entry)
        if not usable:
            raise ProviderUnavailable(f"{url} holds no key that signatures could be checked with.")
        return KeySet.import_key_set({"keys": usable})

    def _bearer(self, claims: Mapping[str, Any]) -> Caller:
        given = claims.get(self._provider.scope_claim)
        names = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        held = set()
        for name in names:
            if isinstance(name, str) and name.startswith(self._provider.prefix):
                try:
                    held.add(scope(name.removeprefix(self._provider.prefix)))
                except ScopeRefused:  # a scope of some other software
                    continue
        subject = str(claims["sub"])[:200]
        tags, adapters = _texts(claims, "vcon_tags"), _texts(claims, "vcon_adapters")
        visible = Visible(adapters, tags) if tags or adapters else EVERYTHING
        return Caller(f"{OIDC}{subject}", subject, frozenset(held), str(claims.get("tenant") or "")[:200], visible)


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A claim that limits what may be seen. One that cannot be read must not mean that there is no limit."""
    value = claims.get(name, [])
    texts = [value] if isinstance(value, str) else value
    if (
        not isinstance(texts, list)
        or not all(isinstance(each, str) for each in texts)
        or (name in claims and not texts)
    ):
        raise NotKnown(f"The token's claim {name} is no list of texts; have the identity provider send one.")
    return tuple(texts)


def _why(error: Exception) -> str:
    """What was wrong, without the token."""
    return str(getattr(error, "error", "") or type(error).__name__)


def fetch_json(url: str) -> Mapping[str, Any]:
    """A JSON object by https (plain http only from this machine). Raises :class:`ProviderUnavailable`."""
    import httpx

    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")):
        raise ProviderUnavailable("The identity provider's address must begin with https://.")
    try:
        answer = httpx.get(url, timeout=10, follow_redirects=False)
        answer.raise_for_status()
        value = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderUnavailable(
            f"The identity provider's keys cannot be had from {parts.hostname} ({type(error).__name__})."
        ) from None
    if not isinstance(value, dict):
        raise ProviderUnavailable(f"{parts.hostname} did not answer with a JSON object.")
    return value

"""Tokens of an identity provider: which are good, and what they let their bearer do."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from vcon_platform.access.caller import NotKnown, Visible
from vcon_platform.access.tokens import Provider, ProviderUnavailable, Tokens, fetch_json

ISSUER = "https://login.example.org/realm"
PROVIDER = Provider(ISSUER, "vcon-platform")
RSA = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "two"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})


class Site:
    """The provider's web site: counts what is fetched."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.fetched: list[str] = []
        self.issuer = ISSUER

    def __call__(self, url: str) -> Mapping[str, Any]:
        self.fetched.append(url)
        if url.endswith("openid-configuration"):
            return {"issuer": self.issuer, "jwks_uri": f"{ISSUER}/keys"}
        return dict(KeySet(self.keys).as_dict(private=False))


def token(key: Any = RSA, alg: str = "RS256", **claims: Any) -> str:
    good = {"iss": ISSUER, "aud": "vcon-platform", "sub": "u1", "exp": time.time() + 600, "scope": "openid read"}
    merged = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid}, merged, key, algorithms=[alg])


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(PROVIDER, Site(RSA, EC))


def test_a_good_token_gives_its_bearers_scopes(tokens: Tokens) -> None:
    caller = tokens.caller(token(scope="openid read ingest:recall email", tenant="acme"))
    assert (caller.id, caller.tenant) == ("oidc:u1", "acme")
    assert caller.scopes == {"read", "ingest:recall"}


def test_scopes_may_be_a_list_in_another_claim_with_a_prefix() -> None:
    tokens = Tokens(replace(PROVIDER, scope_claim="roles", prefix="vcon:"), Site(RSA))
    assert tokens.caller(token(roles=["vcon:operate", "read"])).scopes == {"operate"}


def test_keys_on_curves_are_good_too(tokens: Tokens) -> None:
    assert tokens.caller(token(EC, "ES256")).may("read")


def confused() -> str:
    """What a checker accepts that lets the token say how it is to be checked."""
    header = b64(orjson.dumps({"alg": "HS256", "kid": "one"}))
    signed = f"{header}.{token().split('.')[1]}"
    return f"{signed}.{b64(hmac.digest(RSA.as_pem(private=False), signed.encode(), 'sha256'))}"


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


BAD: dict[str, Callable[[], str]] = {
    "another issuer": lambda: token(iss="https://evil.example.org"),
    "another audience": lambda: token(aud="other"),
    "expired": lambda: token(exp=time.time() - 120),
    "not yet good": lambda: token(nbf=time.time() + 600),
    "never expires": lambda: token(exp=None),
    "of nobody": lambda: token(sub=None),
    "signed by another key of the same name": lambda: token(OTHER),
    "unsigned": lambda: ".".join([token(alg="RS256").split(".")[0].replace("R", "n"), *token().split(".")[1:2], ""]),
    "signed with the public key as a shared secret": lambda: confused(),
    "no token": lambda: "hello",
    "endless": lambda: "a" * 20_000,
    "limits that cannot be read": lambda: token(vcon_tags={"tenant": "acme"}),
    "empty limits": lambda: token(vcon_adapters=[]),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.filterwarnings("ignore")
def test_a_token_that_is_not_good_is_refused(tokens: Tokens, what: str) -> None:
    with pytest.raises(NotKnown):
        tokens.caller(BAD[what]())


def test_what_the_bearer_may_see_comes_from_the_token(tokens: Tokens) -> None:
    caller = tokens.caller(token(vcon_tags=["tenant:acme"], vcon_adapters="chat"))
    assert caller.visible == Visible(("chat",), ("tenant:acme",))


def test_the_providers_keys_are_fetched_once(tokens: Tokens) -> None:
    site = Site(RSA)
    tokens = Tokens(PROVIDER, site)
    for _ in range(3):
        tokens.caller(token())
    assert site.fetched == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]


def test_a_new_key_of_the_provider_is_found_and_nonsense_does_not_make_us_ask_each_time() -> None:
    site, now = Site(RSA), [0.0]
    tokens = Tokens(replace(PROVIDER, jwks_url=f"{ISSUER}/keys"), site, clock=lambda: now[0])
    tokens.caller(token())
    site.keys = [EC]
    with pytest.raises(NotKnown):
        tokens.caller(token(EC, "ES256"))
    assert len(site.fetched) == 1, "asked a moment ago"
    now[0] = 61.0
    assert tokens.caller(token(EC, "ES256")).id == "oidc:u1"
    with pytest.raises(NotKnown):
        tokens.caller(token(OTHER))
    assert len(site.fetched) == 2


def test_a_provider_that_describes_another_issuer_is_not_trusted() -> None:
    site = Site(RSA)
    site.issuer = "https://evil.example.org"
    with pytest.raises(ProviderUnavailable, match="VCON_OIDC_ISSUER"):
        Tokens(PROVIDER, site).caller(token())


@pytest.mark.parametrize("url", ["http://login.example.org/keys", "file:///etc/passwd", "https://127.0.0.1:1/keys"])
def test_keys_that_cannot_be_fetched_safely_are_not(url: str) -> None:
    with pytest.raises(ProviderUnavailable):
        fetch_json(url)

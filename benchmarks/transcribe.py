"""How fast the local speech engine hears, how many words it gets wrong, and how much memory it takes.

    python benchmarks/transcribe.py [AUDIO ...] [--minutes N]

Without files: the test recordings, and N minutes (default 30) made of them in a row, which shows whether memory
grows with a recording's length. A recording with a script beside it (``NAME.turns.json``: a list of {text}) is scored
by the words that are wrong. Prints one JSON object; ``cpu`` is the processor's time, which does not depend on what else
the machine does. Each measurement runs in a process of its own, because a process's peak memory never goes down again.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.processors.word_errors import word_errors

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
MEGABYTE = 1024 * (1024 if sys.platform == "darwin" else 1)  # ru_maxrss counts bytes there, else kilobytes


def peak_memory() -> int:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE


def repeated(minutes: float) -> bytes:
    """The mono test recording in a row, as G.711 in WAV: what a switch writes of a long call."""
    import numpy as np
    import soundfile

    samples, rate = soundfile.read(DATA / "which_product.mp3")
    third = samples[: len(samples) // 3 * 3].reshape(-1, 3).mean(axis=1)  # 24 to 8 kHz
    count = max(1, round(minutes * 60 * rate / 3 / len(third)))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.tile(third, count), rate // 3, format="WAV", subtype="ULAW")
    return buffer.getvalue()


def measure(recording: bytes, script: str = "") -> dict[str, Any]:
    """Hear one recording twice: the first time loads the model. ``script``: what is said in it."""
    from vcon_platform.processors.audio import decode
    from vcon_platform.processors.speech_local import local_engine

    engine = local_engine()
    began = time.perf_counter()
    duration = decode(recording).duration
    decoded = time.perf_counter() - began
    memory_before = peak_memory()
    began = time.perf_counter()
    spent = time.process_time()
    heard = engine.transcribe(recording, language="en")
    first = time.perf_counter() - began
    again, cpu = first, time.process_time() - spent
    if duration < 120:
        began, spent = time.perf_counter(), time.process_time()
        engine.transcribe(recording, language="en")
        again, cpu = time.perf_counter() - began, time.process_time() - spent
    wrong, said = word_errors(script, " ".join(segment.text for segment in heard.segments)) if script else (None, None)
    return {
        "model": engine.model,
        "audio_seconds": round(duration, 1),
        "channels": heard.channels,
        "words": sum(len(segment.words) for segment in heard.segments),
        "decode_seconds": round(decoded, 3),
        "first_seconds": round(first, 2),
        "seconds": round(again, 2),
        "seconds_per_audio_second": round(again / duration, 3) if duration else None,
        "cpu_seconds_per_audio_second": round(cpu / duration, 3) if duration else None,
        "words_said": said,
        "words_wrong": wrong,
        "word_error_rate": round(wrong / said, 4) if wrong is not None and said else None,
        "memory_before_mb": memory_before,
        "peak_memory_mb": peak_memory(),
    }


def script_of(audio: Path) -> str:
    """What is said in a recording, if its script lies beside it."""
    script = audio.with_suffix(".turns.json")
    return " ".join(turn["text"] for turn in json.loads(script.read_text())) if script.is_file() else ""


def main() -> None:
    """Measure every recording in a process of its own and print what came out."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("audio", nargs="*", type=Path)
    arguments.add_argument("--minutes", type=float, default=30, help="length of the long recording; 0: none")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        what, _, value = given.one.partition("=")
        recording = repeated(float(value)) if what == "minutes" else Path(value).read_bytes()
        print(json.dumps(measure(recording, script_of(Path(value)))))
        return
    own = [*sorted(DATA.glob("*.mp3")), DATA / "audio" / "payoff_call.mp3"]
    jobs = {path.name: f"file={path}" for path in given.audio or own}
    if given.minutes and not given.audio:
        jobs[f"{given.minutes:g} minutes of G.711"] = f"minutes={given.minutes}"
    results = {}
    for name, job in jobs.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        shown = subprocess.run([sys.executable, __file__, "--one", job], capture_output=True, text=True, check=True)
        results[name] = json.loads(shown.stdout)
    scored = [each for each in results.values() if each["words_said"]]
    if scored:
        wrong, said = (sum(each[member] for each in scored) for member in ("words_wrong", "words_said"))
        results["all with a script"] = {
            "words_said": said,
            "words_wrong": wrong,
            "word_error_rate": round(wrong / said, 4),
        }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

"""How fast the local speech engine hears, and how much memory it takes.

    python benchmarks/transcribe.py [AUDIO ...] [--minutes N]

Without files: the test recordings, and N minutes (default 30) made of them in a row, which shows whether memory
grows with a recording's length. Prints one JSON object. Each measurement runs in a process of its own, because a
process's peak memory never goes down again.
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


def measure(recording: bytes) -> dict[str, Any]:
    """Hear one recording twice: the first time loads the model."""
    from vcon_platform.processors.audio import decode
    from vcon_platform.processors.speech_local import local_engine

    engine = local_engine()
    began = time.perf_counter()
    duration = decode(recording).duration
    decoded = time.perf_counter() - began
    memory_before = peak_memory()
    began = time.perf_counter()
    heard = engine.transcribe(recording, language="en")
    first = time.perf_counter() - began
    again = first
    if duration < 120:
        began = time.perf_counter()
        engine.transcribe(recording, language="en")
        again = time.perf_counter() - began
    return {
        "model": engine.model,
        "audio_seconds": round(duration, 1),
        "channels": heard.channels,
        "words": sum(len(segment.words) for segment in heard.segments),
        "decode_seconds": round(decoded, 3),
        "first_seconds": round(first, 2),
        "seconds": round(again, 2),
        "seconds_per_audio_second": round(again / duration, 3) if duration else None,
        "memory_before_mb": memory_before,
        "peak_memory_mb": peak_memory(),
    }


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
        print(json.dumps(measure(recording)))
        return
    jobs = {path.name: f"file={path}" for path in given.audio or sorted(DATA.glob("*.mp3"))}
    if given.minutes and not given.audio:
        jobs[f"{given.minutes:g} minutes of G.711"] = f"minutes={given.minutes}"
    results = {}
    for name, job in jobs.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        shown = subprocess.run([sys.executable, __file__, "--one", job], capture_output=True, text=True, check=True)
        results[name] = json.loads(shown.stdout)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

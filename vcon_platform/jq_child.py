"""Runs jq filters that users wrote, where they can do no harm: in a child process without environment or files.

Belongs here: the child, its limits, what its faults may say. Not here: what filters are for (``jq_query.py``,
``chat_completion.py``).

In this process a filter could read every environment variable (``env``), any JSON file (``import`` with a ``search``
path), or never end. So it runs in a child with an empty environment, which can open no file once jq is loaded, whose
memory is limited, and which is killed when a filter overruns, also if this process is gone by then. One child serves
all conversations of a process, about 8,000 small filters a second; a filter that overruns costs one new start.

A filter's own message may hold what people said (``string ("Bob...") cannot be parsed``): only the words between are
told. The message of one that does not compile is about its own text alone and is told whole.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from vcon_platform.errors import PlatformError

SECONDS = 5.0
"""For one filter on one conversation; a filter that belongs into a pipeline takes milliseconds."""
START_SECONDS = 60.0
"""For the child to start, which is no filter's fault: 0.1 s as a rule, more on a machine that is overloaded."""
MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 16 << 20
"""Of one filter's output as JSON."""

_CHILD = """
import itertools, json, resource, signal, sys
sys.path.insert(0, sys.argv[1])
import jq
memory, most, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
for what, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory), (resource.RLIMIT_NOFILE, 3)):
    try:
        resource.setrlimit(what, (limit, limit))
    except (ValueError, OSError):
        pass
def plain(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value
programs = {}
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    line = sys.stdin.buffer.readline()
    if not line:
        break
    wish, value = json.loads(line), sys.stdin.buffer.readline().decode()
    for source in wish["programs"]:
        signal.setitimer(signal.ITIMER_REAL, seconds + 5)  # should nobody be there to kill us: default action, death
        step = "compile"
        try:
            if source not in programs:
                if len(programs) > 500:
                    programs.clear()
                programs[source] = jq.compile(source)
            step = "run"
            found = [] if wish["check"] else list(itertools.islice(programs[source].input_text(value), wish["most"]))
            try:
                text = json.dumps(found, allow_nan=False)
            except ValueError:
                text = json.dumps(plain(found))
            answer = '{"ok":' + text + '}' if len(text) <= most else '{"fault":"size","message":""}'
        except RecursionError:
            answer = '{"fault":"size","message":""}'
        except MemoryError:
            answer = '{"fault":"memory","message":""}'
        except Exception as error:
            answer = json.dumps({"fault": step, "message": str(error)[:2000]})
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(answer + "\\n")
        sys.stdout.flush()
"""


class JqError(PlatformError):
    """A filter is wrong, failed, or took too much. ``position``: which of the filters given."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position


class JqChild:
    """A child process for filters, started when it is first needed. One filter runs at a time; threads wait."""

    def __init__(
        self, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES, output_bytes: int = OUTPUT_BYTES
    ) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._output_bytes = output_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._rest = bytearray()  # what the child said beyond the line that was read
        self._lock = threading.Lock()

    def first(self, programs: Sequence[str], value: Any, *, seconds: float | None = None) -> list[Any]:
        """The first output of each filter, None where one has none. Raises :class:`JqError`."""
        found = self._ask(programs, orjson.dumps(value), most=1, seconds=seconds)
        return [outputs[0] if outputs else None for outputs in found]

    def outputs(self, program: str, value: Any, *, most: int, seconds: float | None = None) -> list[Any]:
        """Up to ``most`` outputs of one filter. Raises :class:`JqError`."""
        [found] = self._ask([program], orjson.dumps(value), most=most, seconds=seconds)
        return found

    def check(self, program: str) -> None:
        """Raises :class:`JqError` if the filter does not compile. It is not run."""
        self._ask([program], b"null", most=0, check=True)

    def close(self) -> None:
        """End the child. The next filter starts another."""
        with self._lock:
            self._end()

    def _ask(
        self, programs: Sequence[str], value: bytes, *, most: int, check: bool = False, seconds: float | None = None
    ) -> list[list[Any]]:
        wish = orjson.dumps({"programs": list(programs), "most": most, "check": check})
        limit = self._seconds if seconds is None else max(0.0, min(seconds, self._seconds))
        with self._lock:
            process = self._running()
            try:
                self._write(process, wish + b"\n" + value + b"\n", limit)
                lines = [self._line(process, position, limit) for position in range(len(programs))]
            except BaseException:  # what the child still says belongs to no other filter, also when we are interrupted
                self._end()
                raise
        return [_outputs(line, position) for position, line in enumerate(lines)]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._pid != os.getpid():  # a fork: the child is the parent's
            self._process = None
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = self._start()
            self._pid = os.getpid()
            try:
                self._line(self._process, 0, START_SECONDS)
            except BaseException:
                self._end()
                raise
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        spec = find_spec("jq")
        if spec is None or spec.origin is None:
            raise JqError("the package jq is not installed; install vcon-platform's requirements again")
        limits = (str(self._memory_bytes), str(self._output_bytes), str(self._seconds))
        command = [sys.executable, "-I", "-c", _CHILD, str(Path(spec.origin).parent), *limits]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={}, cwd="/", bufsize=0)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
        self._rest.clear()

    @staticmethod
    def _write(process: subprocess.Popen[bytes], data: bytes, limit: float) -> None:
        assert process.stdin is not None  # noqa: S101 - asked for in _start
        view, end = memoryview(data), time.monotonic() + limit + 5
        while view:
            _, ready, _ = select.select([], [process.stdin], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise JqError("the filter process takes nothing more; it is replaced")
            try:
                view = view[os.write(process.stdin.fileno(), view[:65536]) :]
            except BrokenPipeError:
                raise JqError("the filter process died; it is replaced") from None

    def _line(self, process: subprocess.Popen[bytes], position: int, limit: float) -> bytes:
        assert process.stdout is not None  # noqa: S101 - asked for in _start
        end = time.monotonic() + limit
        while (length := self._rest.find(b"\n")) < 0:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise JqError(f"the filter took longer than {limit:g} s and was stopped", position)
            chunk = os.read(process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise JqError("the filter took too much memory, or its process was killed", position)
            self._rest += chunk
        line = bytes(self._rest[:length])
        del self._rest[: length + 1]
        return line


def _outputs(line: bytes, position: int) -> list[Any]:
    try:
        answer = json.loads(line)
    except RecursionError:
        raise JqError("the filter's output is nested too deeply", position) from None
    if "ok" in answer:
        return list(answer["ok"])
    raise JqError(_told(answer["fault"], answer["message"]), position)


_TYPES = "null|boolean|number|string|array|object"
_VALUES = re.compile(rf"\b({_TYPES}) \(.*?\)(?= and | cannot | is not |, |$)", re.DOTALL)
_SAFE = re.compile(
    rf"(Cannot (index|iterate over|use|check whether|delete|update|determine)|({_TYPES}) (and ({_TYPES}) )?"
    r"(cannot|is not)|Regex failure|[a-z0-9_]+(\(\))? (input|requires|needs|cannot))[A-Za-z0-9 ,_()]*"
)


def _told(fault: str, message: str) -> str:
    """The fault in words that hold nothing of a conversation."""
    if fault == "size":
        return "the filter's output is too large or nested too deeply"
    if fault == "memory":
        return "the filter took too much memory"
    if fault == "compile":
        return f"it is no jq filter: {' '.join(message.removeprefix('jq: error: ').split())[:300]}"
    told = _VALUES.sub(r"\1", message)
    if _SAFE.fullmatch(told):
        return f"it failed on this conversation: {told[:200]}"
    if "while parsing" in message:
        return "it failed on this conversation: what it parses is not JSON"
    return "it failed on this conversation"


@lru_cache(maxsize=1)
def shared_child() -> JqChild:
    """The child of this process."""
    return JqChild()


@lru_cache(maxsize=1024)
def fault_in(program: str) -> str | None:
    """Why this is no jq filter, or None. Checked once per text and process."""
    try:
        shared_child().check(program)
    except JqError as error:
        return str(error)
    return None

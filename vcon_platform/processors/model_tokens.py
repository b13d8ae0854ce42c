"""How much a language model can hold, and how much a text is, without asking anybody.

Belongs here: an estimate of tokens that rather says too many, the contexts of known models, cutting lines into parts
that fit. Not here: what is asked about the parts (``model_question.py``).

Tokenizers are the models' own and would have to be downloaded, so tokens are estimated by the characters. Where a
service says that it was too much after all, the parts are made smaller and it is asked again: nothing is ever cut off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from vcon_platform.processors.conversation_lines import Line

UNKNOWN = 8192
_CONTEXTS: tuple[tuple[str, int], ...] = (
    ("gpt-3.5", 16_385),
    ("gpt-35", 16_385),  # as Azure writes it
    ("gpt-4-32k", 32_768),
    ("gpt-4-0613", 8_192),
    ("gpt-4-0314", 8_192),
    ("gpt-4-", 128_000),  # gpt-4-turbo, gpt-4-1106-preview, ...
    ("gpt-4.1", 1_047_576),
    ("gpt-4.5", 128_000),
    ("gpt-4o", 128_000),
    ("chatgpt-4o", 128_000),
    ("gpt-4", 8_192),
    ("gpt-5-chat", 128_000),
    ("gpt-5", 400_000),
    ("gpt-oss", 131_072),
    ("o1-mini", 128_000),
    ("o1-preview", 128_000),
    ("o1", 200_000),
    ("o3", 200_000),
    ("o4", 200_000),
    ("claude-", 200_000),
    ("llama-2", 4_096),
    ("llama-3.", 131_072),
    ("meta-llama-3.", 131_072),
)
"""By the beginning of the name, first match, as their makers publish it (questions and answers together)."""
PER_MESSAGE = 5
"""Tokens that a message takes besides its text (OpenAI: 3 to 4)."""

_LETTERS = re.compile(r"[A-Za-z]+")
_OTHER_ASCII = re.compile(r"[!-@\[-`{-~]")


def context_of(model: str) -> int:
    """Tokens that a model of this name can hold; :data:`UNKNOWN` where the name is not known. What stands before a
    slash (``azure/``, ``meta-llama/``) is whose it is."""
    name = model.rpartition("/")[2].casefold()
    return next((tokens for start, tokens in _CONTEXTS if name.startswith(start)), UNKNOWN)


def estimate(text: str) -> int:
    """Tokens of a text: rather too many than too few, for today's models. A word is one token per four letters begun,
    digits and signs are one each, and three bytes of any other script are two. Measured: 1.3 to 1.5 times what OpenAI's
    cl100k_base counts for calls in English, at least as many in twelve other languages, half for letters at random."""
    words = sum((len(word) + 3) // 4 for word in _LETTERS.findall(text))
    if text.isascii():
        return words + len(_OTHER_ASCII.findall(text)) + 1
    other = sum(len(char.encode("utf-8", "replace")) for char in text if char > "\x7f")
    return words + len(_OTHER_ASCII.findall(text)) + math.ceil(other * 2 / 3) + 1


def size(line: Line) -> int:
    """Tokens of a line as a message of its own."""
    return estimate(str(line)) + PER_MESSAGE


def parts_of(lines: Sequence[Line], room: int) -> list[list[Line]]:
    """The lines in parts of at most ``room`` estimated tokens each, about equal. A line that is larger is cut at a
    blank; its pieces keep its number and who spoke. No word is left out. ``room`` is at least 64."""
    small = [piece for line in lines for piece in _pieces(line, max(room, 64))]
    sizes = [size(line) for line in small]
    even = math.ceil(sum(sizes) / max(1, math.ceil(sum(sizes) / room)))
    parts: list[list[Line]] = []
    now = 0
    for line, tokens in zip(small, sizes, strict=True):
        if not parts or now + tokens > room or now >= even:
            parts.append([])
            now = 0
        parts[-1].append(line)
        now += tokens
    return parts


def _pieces(line: Line, room: int) -> list[Line]:
    if size(line) <= room:
        return [line]
    # A head that fills the room itself (a name of thousands of letters) is cut: it is said, not what was said.
    head = line.head if estimate(line.head) <= room // 2 else line.head[: room // 4]
    left = room - estimate(head) - PER_MESSAGE - 1
    pieces: list[Line] = []
    rest = line.text
    while rest:
        end = _fitting(rest, left)
        if end < len(rest) and (blank := rest.rfind(" ", 1, end)) > 0:
            end = blank
        pieces.append(Line(line.number, head, rest[:end].strip()))
        rest = rest[end:].lstrip()
    return pieces


def _fitting(text: str, tokens: int) -> int:
    """How many of its first characters surely fit: at least one."""
    end = min(len(text), max(1, tokens * 4))
    while end > 1 and estimate(text[:end]) > tokens:
        end = max(1, end * 3 // 4)
    return end

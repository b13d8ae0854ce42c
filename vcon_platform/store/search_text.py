"""How text becomes what is compared when somebody searches: the same two functions for documents and for questions.

Belongs here: the normal forms. Not here: which parts of a document are searched (``search_fields.py``), the question's
language (``search_query.py``).

Two kinds, because people ask in two ways:

- a **token** stands for a whole value (a name, an address, a tag): equal apart from case, width, blanks and invisible
  characters, and nothing else;
- **words** stand for running text: letters and digits only, without case and accents, so that ``Jose`` finds ``José``.
  Scripts that write no blanks between words are cut into single characters; a question in them is a phrase of those.

Both are made here and not by RediSearch, whose own rules know ASCII only: it would take a curly quote for a part of a
word, and a backslash for an instruction.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_TOKEN = 200
"""Characters of a token; of a longer value the digest is compared."""
LONGEST_WORD = 64
"""Characters of a word that are compared: what is longer is no word but data."""

_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_NO_WORD = re.compile(r"[\W_]+")
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
"""Thai, Lao, Burmese, Khmer, and what Chinese and Japanese are written in."""
_ASCII_WORDS = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
"""For ``bytes.translate``, which is ten times as quick as that of ``str``."""
_MARKED = bytes(32 if code == 32 else 120 for code in range(256))
_LONG_WORD = b"x" * (LONGEST_WORD + 1)


def token(value: str) -> str:
    """What a whole value is compared by; empty where nothing visible is in it. At most ``LONGEST_TOKEN`` characters,
    all printable. Never raises."""
    if not value.isascii():
        value = _INVISIBLE.sub("", unicodedata.normalize("NFKC", value))
        value = unicodedata.normalize("NFKC", value.casefold())
    else:
        value = value.lower()
    # RediSearch takes a backslash before punctuation away, from values too.
    value = " ".join(value.replace("\\", "\u29f5").split())
    if len(value) > LONGEST_TOKEN or not value.isprintable():
        digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"#{digest}"
    return value


def words(text: str) -> str:
    """The words of a text, a blank between two; empty if it has none. Linear time; never raises."""
    if text.isascii():
        ascii_words = text.encode().translate(_ASCII_WORDS)
        if _LONG_WORD not in ascii_words.translate(_MARKED):  # nearly always: no word needs to be looked at
            while b"  " in ascii_words:
                ascii_words = ascii_words.replace(b"  ", b" ")
            return ascii_words.strip().decode()
        plain = ascii_words.decode()
    else:
        plain = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
        plain = unicodedata.normalize("NFKC", _ACCENTS.sub("", unicodedata.normalize("NFKD", plain)))
        plain = _UNSPACED.sub(r" \1 ", _NO_WORD.sub(" ", plain))
    found = plain.split()
    if max(map(len, found), default=0) > LONGEST_WORD:
        found = [word[:LONGEST_WORD] for word in found]
    return " ".join(found)

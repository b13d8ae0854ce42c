"""Text of strangers on a terminal."""

import unicodedata

from rich.text import Text


def shown(text: str) -> Text:
    """The text as :func:`visible` has it, for rich's tables (its markup means nothing)."""
    return Text(visible(text))


def visible(text: str) -> str:
    """The text with control and direction characters made visible: it must not steer anybody's terminal."""
    return "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf", "Cs") else f"\\u{ord(character):04x}"
        for character in text
    )

"""Text of strangers on a terminal."""

import unicodedata

from rich.text import Text


def shown(text: str) -> Text:
    """The text with control and direction characters made visible: it must not steer anybody's terminal."""
    return Text(
        "".join(
            character if unicodedata.category(character) not in ("Cc", "Cf", "Cs") else f"\\u{ord(character):04x}"
            for character in text
        )
    )

"""A package with one processor, to begin a plugin with.

Belongs here: which files it has, from the templates in ``plugin_template/``. Not here: asking for it
(``commands/processors.py``). The files are made to run as they are: a beginning that works is changed more easily than
one that has gaps.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from vcon_platform.errors import PlatformError
from vcon_platform.processors.conserver_links import LINKS
from vcon_platform.processors.registry import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST = 63
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "{module}/__init__.py": "processor.py",
    "{module}/py.typed": "",
    "tests/test_{name}.py": "test_processor.py",
}
"""Path to template; none: an empty file."""


class CannotScaffold(PlatformError):
    """The package cannot be made under that name, or there."""


def plugin_files(name: str) -> dict[str, str]:
    """The files of a package with the processor ``name``, by their path in it."""
    words = {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "module": f"vcon_processor_{name}",
        "package": package_of(name),
    }
    templates = files(__package__) / "plugin_template"
    return {
        path.format_map(words): Template((templates / f"{template}.template").read_text("utf-8")).substitute(words)
        if template
        else ""
        for path, template in _FILES.items()
    }


def package_of(name: str) -> str:
    """What the package of the processor ``name`` is called, and its folder."""
    return f"vcon-processor-{name.replace('_', '-')}"


def scaffold(name: str, folder: Path, registry: Registry) -> Path:
    """Make the package in ``folder``, in a new folder of its own, and give that one's path. Raises
    :class:`CannotScaffold` where the name cannot be a new processor's, or the folder is there already."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        near = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:_LONGEST].rstrip("_")
        near = near if _NAME.fullmatch(near) else "my_processor"
        raise CannotScaffold(
            f"a processor's name has lower-case letters, digits and single '_' between them, begins with a letter and "
            f"is at most {_LONGEST} long; call it {near!r}"
        )
    if name in registry:
        raise CannotScaffold(f"there is a processor {name!r} already ({registry.get(name).title}); take another name")
    if name in LINKS:
        raise CannotScaffold(
            f"{name!r} is a link of the conserver, which means another processor here; take another name"
        )
    target = folder / package_of(name)
    try:
        target.mkdir(parents=True)
        for path, text in plugin_files(name).items():
            (target / path).parent.mkdir(exist_ok=True)
            (target / path).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise CannotScaffold(f"{target} is there already; nothing was written") from None
    except OSError as error:
        raise CannotScaffold(f"{target} cannot be written ({error.strerror})") from None
    return target

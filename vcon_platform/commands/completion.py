"""``vcon-platform completion``: the script by which a shell completes verbs and options.

Printed and not installed: which of a shell's files is read, its owner knows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Those that are supported."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the completion script of a shell.

    bash: eval "$(vcon-platform completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc after compinit; fish:
    vcon-platform completion fish > ~/.config/fish/completions/vcon-platform.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # typer's own, re-exported

    name = "vcon-platform"
    typer.echo(get_completion_script(prog_name=name, complete_var="_VCON_PLATFORM_COMPLETE", shell=shell.value))

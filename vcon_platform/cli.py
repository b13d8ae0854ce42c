"""``vcon-platform``: the command line. Assembles the command groups of ``vcon_platform.commands`` and nothing else.

A command group is a module there, say ``queues``. It has one of these: ``app``, a typer application, which becomes
``vcon-platform queues ...``; a function ``queues``, which becomes the one command of that name; or
``register(app)``, to add several verbs at the top. What a command works with is imported inside it, so that
``--help`` stays quick.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

import typer
from typer.completion import completion_init  # type: ignore[attr-defined] # typer's own, re-exported
from typer.core import TyperGroup

from vcon_platform import commands
from vcon_platform.errors import PlatformError


class PlatformGroup(TyperGroup):
    """Shows the platform's own errors as what they are, a sentence for the operator, and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            typer.secho("Error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from None


HELP = """Conversations in, rows out: calls and chats become vCons, pipelines process them, projections land the rows.

[bold]First steps[/bold]

  vcon-platform demo          eight sample calls, from recording to table
  vcon-platform up            start everything here; Ctrl-C stops it
  vcon-platform status        what runs, and where
  vcon-platform vcon --help   vCons as files, in pipes and in the store

[bold]Settings[/bold] are environment variables, or lines of .env:

  VCON_DATA_DIR               where everything made at run time lives
  VCON_WEBSERVER_PORT         the Dagster UI
  VCON_API_PORT               the REST API
  VCON_REDIS_PORT, VCON_POSTGRES_PORT, VCON_CODE_SERVER_PORT
  REDIS_URL, POSTGRES_URL     servers of your own
"""


def build() -> typer.Typer:
    """The application with every command group."""
    completion_init()  # add_completion would do it, and add options that write into people's shell files
    app = typer.Typer(
        name="vcon-platform",
        add_completion=False,
        cls=PlatformGroup,
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,  # locals may hold passwords and what people said
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in sorted(pkgutil.iter_modules(commands.__path__), key=lambda found: found.name):
        if module.name.startswith("_"):  # shared by commands, none itself
            continue
        group = import_module(f"{commands.__name__}.{module.name}")
        if hasattr(group, "register"):
            group.register(app)
        elif hasattr(group, "app"):
            app.add_typer(group.app, name=module.name)
        else:
            app.command(module.name)(getattr(group, module.name))
    return app


app = build()


def main() -> None:
    """What the console script calls: the command line of this installation, with the variables of its ``.env``."""
    from vcon_platform.services.environment import adopt_env_file

    adopt_env_file()
    app()


if __name__ == "__main__":
    main()

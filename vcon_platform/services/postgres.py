"""The embedded Postgres: its data folder, its start command, and how to tell that it is ready.

Does not belong here: where the files go when root's folders are closed to others (``postgres_home.py``), who starts
the process (``stack.py``), any table (``ledger/``, ``projections/``, Dagster's own).
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from vcon_platform.services.errors import ServiceError
from vcon_platform.services.files import ensure_secret, prepare_data_dir, private_folder
from vcon_platform.services.identity import Identity, run_as, server_identity
from vcon_platform.services.postgres_home import find_postgres_home
from vcon_platform.settings import Settings

#: Schemas the platform keeps its own tables in; projected tables stay in ``public``.
SCHEMAS = ("dagster", "ledger")


@dataclass(frozen=True)
class PostgresServer:
    """A Postgres of our own on the loopback interface."""

    home: Path
    install: Path
    port: int
    password: str
    identity: Identity | None = None
    options: tuple[str, ...] = ()
    """Further server settings, ``name=value``."""
    notice: str | None = None
    """What the operator should know about where the data are; None if they are where one expects them."""

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.home / "data"

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy address with the driver named, with the password."""
        return f"postgresql+psycopg2://postgres:{quote(self.password)}@127.0.0.1:{self.port}/{database}"

    def prepare(self, *, sync: bool = True) -> None:
        """Make the cluster if there is none. ``sync=False`` saves time where a power cut does not matter (tests)."""
        private_folder(self.home)
        if self.identity is not None:
            self.identity.own(self.home)
        if (self.data / "PG_VERSION").exists():
            self._refuse_other_version()
            return
        fresh = self.home / "data.new"  # renamed when complete: an initdb that was killed leaves nothing half-made
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.home / "password.new"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        if self.identity is not None:
            self.identity.own(password_file)
        initdb = [str(self.install / "bin" / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "scram-sha-256"]
        initdb += [f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C"]
        try:
            done = run_as(self.identity, initdb if sync else [*initdb, "--no-sync"])
        finally:
            password_file.unlink()
        if done.returncode != 0:
            raise ServiceError(f"initdb could not make the Postgres cluster {fresh}: {done.stderr.strip()[-800:]}")
        fresh.rename(self.data)

    def _refuse_other_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        ours = run_as(self.identity, [self.install / "bin" / "postgres", "--version"]).stdout.split()[-1].split(".")[0]
        if found != ours:
            raise ServiceError(
                f"{self.data} was written by Postgres {found}, the installed one is {ours}. Dump and restore it with "
                f"version {found}, or set POSTGRES_URL to a server of that version."
            )

    def command(self) -> list[str]:
        """The foreground command. Run it as :attr:`identity`; stop it with SIGINT (fast), because on SIGTERM it
        waits until every client has left."""
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=",  # none: TCP with a password is the one way in, and no path can be too long
            "max_connections=200",  # webserver, daemon, code server and every run keep small pools
            # A failing statement holds its values, that is personal data: the log names the error only.
            "log_min_error_statement=panic",
            "log_error_verbosity=terse",
            *self.options,
        ]
        command = [str(self.install / "bin" / "postgres"), "-D", str(self.data)]
        return command + [part for option in options for part in ("-c", option)]

    def why_not_ready(self) -> str | None:
        """None when the server takes our password and answers a query; else the reason."""
        return why_postgres_not_ready(self.url())


def libpq_url(url: str) -> str:
    """``url`` without SQLAlchemy's driver name, as psycopg2 and psql take it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def why_postgres_not_ready(url: str, timeout: int = 3) -> str | None:
    """None when the Postgres at ``url`` answers a query within ``timeout`` seconds; else the reason (no secrets)."""
    try:
        connect = psycopg2.connect(libpq_url(url), connect_timeout=timeout)
        with contextlib.closing(connect) as connection, connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = %s", (timeout * 1000,))
            cursor.execute("SELECT 1")
    except psycopg2.Error as error:
        text = str(error)
        if "password authentication failed" in text:
            return "it refuses the password"
        if "starting up" in text:
            return "it is starting up"
        return f"it does not answer ({type(error).__name__})"
    return None


def create_schemas(url: str) -> None:
    """Create the platform's schemas in the database at ``url`` where they do not exist yet."""
    with contextlib.closing(psycopg2.connect(libpq_url(url), connect_timeout=10)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # Asked first, because a user without the right to create schemas may well use existing ones.
            cursor.execute("SELECT nspname FROM pg_namespace")
            existing = {row[0] for row in cursor.fetchall()}
            for name in sorted(set(SCHEMAS) - existing):
                # IF NOT EXISTS is no lock: two starts at once may both try, and the second one's error is success.
                with contextlib.suppress(psycopg2.errors.UniqueViolation):
                    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))


def embedded_postgres(settings: Settings) -> PostgresServer:
    """The Postgres of this installation; makes its secret and its folders at first use."""
    prepare_data_dir(settings)
    identity = server_identity()
    place = find_postgres_home(settings.data_dir, identity)
    return PostgresServer(
        home=place.home,
        install=place.install,
        port=settings.postgres_port,
        password=ensure_secret(settings, "postgres_password"),
        identity=identity,
        notice=place.notice,
    )

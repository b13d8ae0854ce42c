"""The embedded servers by themselves: locks, permissions, secrets, recovery."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import psycopg2
import pytest
import redis
import sqlalchemy

from tests.support import child, eventually, free_port
from vcon_platform.services.binaries import postgres_install
from vcon_platform.services.errors import ServiceError
from vcon_platform.services.identity import Identity, server_identity
from vcon_platform.services.postgres import PostgresServer, create_schemas, embedded_postgres, libpq_url
from vcon_platform.services.postgres_home import find_postgres_home, runnable_install
from vcon_platform.services.redis import RedisServer, embedded_redis
from vcon_platform.services.redis_launcher import ALREADY_RUNNING
from vcon_platform.settings import Settings


def make_redis(folder: Path) -> RedisServer:
    server = RedisServer(folder / "redis", folder / "redis.conf", free_port(), 'a password with "quotes" & \\')
    server.prepare()
    return server


def test_redis_keeps_what_it_acknowledged_through_a_kill(tmp_path: Path) -> None:
    server = make_redis(tmp_path)
    with child(server.command(), tmp_path / "log") as process:
        eventually(lambda: server.why_not_ready(process.pid) is None)
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("JSON.SET", "vcon:1", "$", '{"a": 1}')
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with child(server.command(), tmp_path / "log") as process:
        eventually(lambda: server.why_not_ready(process.pid) is None)
        with redis.Redis.from_url(server.url) as client:
            assert client.execute_command("JSON.GET", "vcon:1") == b'{"a":1}'


def test_a_second_redis_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    server = make_redis(tmp_path)
    with child(server.command(), tmp_path / "log") as process:
        eventually(lambda: server.why_not_ready(process.pid) is None)
        second = subprocess.run(server.command(), capture_output=True, text=True, timeout=20)
        assert second.returncode == ALREADY_RUNNING
        assert f"process {process.pid}" in second.stderr
        assert server.why_not_ready(process.pid) is None


def test_redis_refuses_writes_rather_than_forgetting_documents(redis_client: redis.Redis) -> None:
    assert redis_client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_redis_writes_its_log_to_the_disk_before_it_answers(tmp_path: Path) -> None:
    """With "everysec" a killed Redis loses what it answered while a sync in the background took its time."""
    lines = make_redis(tmp_path).config_file.read_text().splitlines()
    assert {"appendonly yes", "appendfsync always"} <= set(lines)


def test_the_readiness_probe_names_a_stranger_on_our_port(redis_server: RedisServer) -> None:
    assert "another Redis" in str(redis_server.why_not_ready(1))


def test_the_readiness_probe_says_when_the_password_is_wrong(
    redis_server: RedisServer, postgres_server: PostgresServer
) -> None:
    wrong = RedisServer(redis_server.data_dir, redis_server.config_file, redis_server.port, "wrong")
    assert wrong.why_not_ready(None) == "it refuses the password"
    stranger = PostgresServer(postgres_server.home, postgres_server.install, postgres_server.port, "wrong")
    assert stranger.why_not_ready() == "it refuses the password"


def test_no_password_stands_in_a_command_line_and_secret_files_are_private(data_dir: Path) -> None:
    settings = Settings(_env_file=None, data_dir_setting=data_dir)
    server, database = embedded_redis(settings), embedded_postgres(settings)
    server.prepare()
    for name in ("redis_password", "postgres_password"):
        path = settings.secret_path(name)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.config_file.stat().st_mode) == 0o600
    assert not any(server.password in part for part in server.command())
    assert not any(database.password in part for part in database.command())


def test_the_settings_find_the_embedded_servers_by_the_generated_secrets(data_dir: Path) -> None:
    settings = Settings(_env_file=None, data_dir_setting=data_dir)
    server, database = embedded_redis(settings), embedded_postgres(settings)
    assert settings.redis_url() == server.url
    assert settings.postgres_url() == database.url()
    assert embedded_redis(settings).password == server.password  # a second start keeps the secret


def test_schemas_are_created_once_and_again_without_harm(postgres_url: str) -> None:
    create_schemas(postgres_url)
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.connect() as connection:
        names = sqlalchemy.inspect(connection).get_schema_names()
    engine.dispose()
    assert {"dagster", "ledger"} <= set(names)


def test_postgres_logs_no_values_of_failing_statements(postgres_server: PostgresServer, server_folder: Path) -> None:
    with psycopg2.connect(libpq_url(postgres_server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE people (name text PRIMARY KEY)")
        cursor.execute("INSERT INTO people VALUES (%s)", ("Zebedee Quux",))
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute("INSERT INTO people VALUES (%s)", ("Zebedee Quux",))
    connection.close()
    log = server_folder / "postgres.log"
    eventually(lambda: "people_pkey" in log.read_text())
    assert "Zebedee" not in log.read_text()


def test_an_unfinished_initdb_is_made_anew(server_folder: Path) -> None:
    identity = server_identity()
    home = server_folder / "unfinished"
    server = PostgresServer(home, runnable_install(identity, server_folder / "install"), free_port(), "p", identity)
    (home / "data.new").mkdir(parents=True)
    (home / "data.new" / "junk").write_text("junk")
    server.prepare(sync=False)
    assert (server.data / "PG_VERSION").exists()
    assert not (home / "data.new").exists()


def test_a_closed_folder_sends_roots_postgres_elsewhere_and_nobody_elses(tmp_path: Path, server_folder: Path) -> None:
    closed, fallback = tmp_path / "closed", server_folder / "fallback"
    data_dir = closed / "data"
    (data_dir / "run").mkdir(parents=True)
    closed.chmod(0o700)
    identity = server_identity()
    place = find_postgres_home(data_dir, identity, fallback)
    # Only root changes user, so only root's server can meet a closed folder.
    assert place.home.is_relative_to(fallback) == (identity is not None)
    assert (place.notice is not None and str(data_dir) in place.notice) == (identity is not None)
    server = PostgresServer(place.home, place.install, free_port(), "p", identity)
    server.prepare(sync=False)
    with child(server.command(), tmp_path / "log", stop_with=signal.SIGINT, identity=identity):
        eventually(lambda: server.why_not_ready() is None)
    assert find_postgres_home(data_dir, identity, fallback).home == place.home


def test_a_database_that_became_unreachable_is_an_error_not_an_empty_one(tmp_path: Path, server_folder: Path) -> None:
    identity = Identity("stranger", 65534, 65534) if os.geteuid() == 0 else UnpassableIdentity("stranger", 1, 1)
    (tmp_path / "data" / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "data" / "postgres" / "data" / "PG_VERSION").write_text("18\n")
    tmp_path.chmod(0o700)
    with pytest.raises(ServiceError, match="cannot reach"):
        find_postgres_home(tmp_path / "data", identity, server_folder / "fallback")


class UnpassableIdentity(Identity):
    """Someone who can pass nowhere, for test runs that may not change user."""

    def may_pass(self, folder: Path) -> bool:
        return False


def test_binaries_that_the_servers_user_cannot_reach_are_copied(tmp_path: Path, server_folder: Path) -> None:
    """What a clone in a closed folder needs: the virtual environment is closed as well."""
    identity = server_identity()
    package = tmp_path / "closed" / "embedded_postgres"
    installed = postgres_install()
    shutil.copytree(installed, package / "pginstall", symlinks=True)
    shutil.copytree(
        installed.parent.parent / "embedded_postgres.libs", package.parent / "embedded_postgres.libs", symlinks=True
    )
    package.parent.chmod(0o700)
    chosen = runnable_install(identity, server_folder / "copies", package / "pginstall")
    assert chosen.is_relative_to(server_folder / "copies") == (identity is not None)
    server = PostgresServer(server_folder / "copied", chosen, free_port(), "p", identity)
    server.prepare(sync=False)
    with child(server.command(), tmp_path / "log", stop_with=signal.SIGINT, identity=identity):
        eventually(lambda: server.why_not_ready() is None)


def test_lost_data_elsewhere_are_an_error_not_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "postgres_home").write_text(str(tmp_path / "gone"))
    with pytest.raises(ServiceError, match="is gone"):
        find_postgres_home(tmp_path, server_identity())

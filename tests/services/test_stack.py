"""The whole stack by its processes: real supervisord, Redis, Postgres and Dagster, on definitions that load quickly."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import httpx
import psutil
import psycopg2
import pytest
import redis

from tests.support import eventually, free_port
from vcon_platform.services.dagster_client import DagsterClient
from vcon_platform.services.errors import ServiceError
from vcon_platform.services.leftovers import leftovers
from vcon_platform.services.postgres import libpq_url
from vcon_platform.services.stack import ProcessStatus, Progress, Stack
from vcon_platform.settings import Settings

pytestmark = pytest.mark.xdist_group("stack")

DEFINITIONS = """
    import dagster as dg

    @dg.op
    def work() -> None: ...

    @dg.job(executor_def=dg.in_process_executor)
    def quick() -> None:
        work()

    defs = dg.Definitions(jobs=[quick])
"""


def settings_for(data_dir: Path) -> Settings:
    return Settings(
        _env_file=None,
        data_dir_setting=data_dir,
        redis_port=free_port(),
        postgres_port=free_port(),
        code_server_port=free_port(),
        webserver_port=free_port(),
        api_port=free_port(),
    )


def by_name(stack: Stack) -> dict[str, ProcessStatus]:
    return {status.name: status for status in stack.status()}


@pytest.fixture(scope="module")
def modules(server_folder: Path) -> Iterator[Path]:
    """A folder of definitions modules that the processes can import."""
    folder = server_folder / "modules"
    folder.mkdir()
    (folder / "quick_definitions.py").write_text(dedent(DEFINITIONS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        yield folder


@pytest.fixture(scope="module")
def running(server_folder: Path, modules: Path) -> Iterator[Stack]:
    """A stack that is up. It was started with SIGINT ignored, as a script's '&' does it."""
    stack = Stack(settings_for(server_folder / "stack"), "quick_definitions")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stack.up()
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield stack
    finally:
        stack.down()
    assert leftovers(stack.settings.data_dir) == []


@pytest.fixture
def services(data_dir: Path) -> Iterator[Stack]:
    """A stack whose Redis and Postgres run."""
    stack = Stack(settings_for(data_dir))
    stack.up(services_only=True)
    try:
        yield stack
    finally:
        stack.down()


def test_everything_runs_and_answers(running: Stack) -> None:
    assert {status.name: status.state for status in running.status() if status.name != "watchdog"} == {
        "redis": "running",
        "postgres": "running",
        "code-server": "running",
        "webserver": "running",
        "daemon": "running",
        "api": "running",
    }
    assert httpx.get(f"{running.api_url}/health").json()["status"] == "ok"
    assert httpx.get(f"{running.webserver_url}/server_info").status_code == 200
    assert running.log_file("postgres").read_text()


def test_the_processes_take_sigint_and_show_no_password(running: Stack) -> None:
    secrets = [path.read_text().strip() for path in (running.settings.data_dir / "secrets").iterdir()]
    assert len(secrets) == 3  # Redis, Postgres, the API
    for status in running.status():
        assert status.process_id is not None
        facts = Path(f"/proc/{status.process_id}/status").read_text()
        [ignored] = [line.split()[1] for line in facts.splitlines() if line.startswith("SigIgn")]
        assert not int(ignored, 16) & (1 << (signal.SIGINT - 1)), f"{status.name} ignores SIGINT"
        command = " ".join(psutil.Process(status.process_id).cmdline())
        assert not any(secret in command for secret in secrets), status.name


def test_starting_again_changes_nothing(running: Stack) -> None:
    before = {status.name: status.process_id for status in running.status()}
    running.up()
    assert {status.name: status.process_id for status in running.status()} == before


def test_a_killed_process_is_started_again_and_redis_has_its_data(running: Stack) -> None:
    with redis.Redis.from_url(running.settings.redis_url()) as client:
        client.set("kept", "yes")
    before = by_name(running)["redis"].process_id
    assert before is not None
    os.kill(before, signal.SIGKILL)
    eventually(lambda: by_name(running)["redis"].process_id not in (None, before))
    eventually(lambda: httpx.get(f"{running.api_url}/health").status_code == 200)
    with redis.Redis.from_url(running.settings.redis_url()) as client:
        assert client.get("kept") == b"yes"


def test_dagster_goes_on_after_its_definitions_process_was_killed(running: Stack) -> None:
    server = by_name(running)["code-server"].process_id
    assert server is not None
    dagster = DagsterClient(running.webserver_url)
    [definitions] = [each for each in psutil.Process(server).children() if "grpc" in each.cmdline()]
    definitions.kill()
    eventually(
        lambda: [each for each in psutil.Process(server).children() if "grpc" in each.cmdline()],
        timeout=60,
        message="the watchdog has the definitions loaded anew",
    )
    run_id = eventually(lambda: launched(dagster), timeout=30, interval=0.5)
    eventually(lambda: dagster.run(run_id).status == "SUCCESS", timeout=60, interval=0.5)


def launched(dagster: DagsterClient) -> str:
    """Launch the job 'quick'; the run's id."""
    answer = dagster.query(
        """mutation { launchPipelineExecution(executionParams: {runConfigData: {}, selector: {
             repositoryLocationName: "vcon_platform", repositoryName: "__repository__", jobName: "quick"}}) {
             __typename ... on LaunchRunSuccess { run { runId } } } }"""
    )["launchPipelineExecution"]
    return str(answer["run"]["runId"])


def test_what_a_killed_supervisor_left_is_found_stopped_and_not_doubled(running: Stack) -> None:
    before = {status.process_id for status in running.status()}
    supervisor = int((running.settings.data_dir / "run" / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid) for pid in psutil.pids() if pid == supervisor], timeout=5)
    eventually(lambda: not running.is_up())
    assert {"left over"} == {status.state for status in running.status()}
    assert by_name(running)["redis"].process_id in before
    lines: list[Progress] = []
    again = Stack(running.settings, running.definitions_module)
    again.up(lines.append)
    assert any("left behind" in line.text for line in lines)
    after = {status.process_id for status in again.status()}
    assert not before & after
    assert not [pid for pid in before if pid is not None and is_alive(pid)]
    assert {status.state for status in again.status()} <= {"running", "starting"}


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_services_only_starts_just_the_servers_with_our_schemas(services: Stack) -> None:
    assert {status.name for status in services.status() if status.state == "running"} <= {"redis", "postgres"}
    connection = psycopg2.connect(libpq_url(services.settings.postgres_url()))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace")
        assert {"dagster", "ledger"} <= {row[0] for row in cursor.fetchall()}
    connection.close()


def test_down_stops_what_another_process_started_and_says_when_nothing_ran(services: Stack) -> None:
    other = Stack(services.settings)
    pids = [status.process_id for status in other.status() if status.process_id]
    assert other.down()
    assert not [pid for pid in pids if is_alive(pid)]
    assert {status.state for status in other.status()} == {"stopped"}
    assert other.down() is False


def test_changed_ports_under_a_running_stack_are_refused_with_the_cure(services: Stack) -> None:
    moved = services.settings.model_copy(update={"redis_port": free_port()})
    with pytest.raises(ServiceError, match="vcon-platform down"):
        Stack(moved).up(services_only=True)


def test_an_occupied_port_is_named_with_its_user_and_its_setting(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = settings_for(data_dir).model_copy(update={"postgres_port": server.getsockname()[1]})
        stack = Stack(settings)
        with pytest.raises(ServiceError) as raised:
            stack.up(services_only=True)
    assert f"Port {settings.postgres_port} (the embedded Postgres)" in str(raised.value)
    assert f"process {os.getpid()}" in str(raised.value)
    assert "VCON_POSTGRES_PORT" in str(raised.value)
    assert not stack.is_up()


def test_one_port_for_two_processes_is_refused(data_dir: Path) -> None:
    settings = settings_for(data_dir)
    with pytest.raises(ServiceError, match="several processes"):
        Stack(settings.model_copy(update={"redis_port": settings.postgres_port})).up(services_only=True)


def test_servers_of_the_users_own_are_used_and_nothing_is_started(settings: Settings) -> None:
    stack = Stack(settings)
    lines: list[Progress] = []
    stack.up(lines.append, services_only=True)
    assert not stack.is_up()
    assert [line.text for line in lines] == ["Redis of your own is ready", "Postgres of your own is ready"]
    assert {status.name for status in stack.status() if status.state == "external"} == {"redis", "postgres"}


def test_a_server_of_the_users_own_that_is_not_there_is_named_without_its_password(data_dir: Path) -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    settings = Settings(
        _env_file=None, data_dir_setting=data_dir, redis_url_setting=url, postgres_url_setting="postgresql://x"
    )
    with pytest.raises(ServiceError, match="REDIS_URL") as raised:
        Stack(settings).up(services_only=True)
    assert "hunter2" not in str(raised.value)


def test_a_data_folder_whose_path_is_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir / ("a-long-name" * 8)
    deep.mkdir(mode=0o755)
    stack = Stack(settings_for(deep / "data"))
    try:
        stack.up(services_only=True)
        assert stack.is_up()
    finally:
        assert stack.down()


def test_broken_definitions_end_the_start_with_dagsters_words(data_dir: Path, modules: Path) -> None:
    (modules / "broken_definitions.py").write_text("raise ValueError('the recall list is empty')\n")
    stack = Stack(settings_for(data_dir), "broken_definitions")
    try:
        with pytest.raises(ServiceError, match="the recall list is empty"):
            stack.up()
    finally:
        stack.down()

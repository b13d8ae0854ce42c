"""What the platform's processes get to see: the settings of their installation, spelled out.

Children never read ``.env`` themselves. They get its variables from here, so that the caller's environment wins over
the file, and every process of one stack means the same installation whatever its working folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from dotenv import dotenv_values
from pydantic import SecretStr

from vcon_platform.settings import ENV_FILE_VARIABLE, Settings, env_file

#: Settings of the libraries below us that we want everywhere.
_FIXED = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    # Events are stored in batches of this size at most; log lines are not batched.
    "DAGSTER_EVENT_BATCH_SIZE": "100",
    # Dagster's run-status sensors handle five runs per tick unless told otherwise, and fall behind silently.
    "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": "25",
    "DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT": "100",
    # Speech models come from a package; nothing may ask the network for another one.
    "HF_HUB_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}

#: Would make every run compile the whole of Dagster again.
_UNWANTED = ("PYTHONDONTWRITEBYTECODE",)


def settings_environment(settings: Settings) -> dict[str, str | None]:
    """Every setting as its environment variable; None where it is not set and must not be inherited either."""
    variables: dict[str, str | None] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        variables[field.alias or name] = None if value is None else str(value)
    variables["VCON_ROOT"] = str(settings.root.absolute())
    variables["VCON_DATA_DIR"] = str(settings.data_dir)
    variables["VCON_PIPELINES_DIR"] = str(settings.pipelines_dir)
    return variables


def adopt_env_file() -> None:
    """Give this process the variables of ``.env``, as :func:`child_environment` gives them to others: a command that
    runs a pipeline itself finds what ``env:NAME`` stands for. What is set already wins."""
    for name, value in _of_file().items():
        os.environ.setdefault(name, value)


def _of_file() -> dict[str, str]:
    file = env_file()
    return {name: value for name, value in (dotenv_values(file) if file else {}).items() if value is not None}


def child_environment(settings: Settings, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment for the processes of the installation ``settings`` describes."""
    environment = _of_file()
    environment.update(os.environ if inherited is None else inherited)
    for name, value in settings_environment(settings).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    for name in _UNWANTED:
        environment.pop(name, None)
    environment.update(_FIXED)
    environment["DAGSTER_HOME"] = str(settings.dagster_home)
    environment["DAGSTER_LOG_DIR"] = str(settings.data_dir / "compute_logs")
    environment["DAGSTER_ARTIFACT_DIR"] = str(settings.data_dir / "artifacts")
    environment[ENV_FILE_VARIABLE] = ""
    return environment

"""How one knows that Dagster's processes are ready: their own answers, not a pause.

Each function returns None when ready, else the reason. A reason that waiting cannot cure is a :class:`ServiceError`.
"""

from __future__ import annotations

from typing import Any

import httpx

from vcon_platform.services.errors import ServiceError
from vcon_platform.services.ports import LOOPBACK

_LOCATIONS = """{ workspaceOrError {
  __typename
  ... on Workspace { locationEntries { name locationOrLoadError {
    __typename ... on PythonError { message className errorChain { error { message } } } } } }
  ... on PythonError { message }
} }"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
_RELOAD = "mutation ($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
#: What Dagster says while the code server cannot be reached; everything else is an error of the definitions.
_UNREACHABLE = ("DagsterUserCodeUnreachableError", "DagsterUserCodeProcessError")


def _graphql(port: int, query: str, variables: dict[str, str] | None = None, timeout: float = 5.0) -> dict[str, Any]:
    answer = httpx.post(
        f"http://{LOOPBACK}:{port}/graphql",
        json={"query": query, "variables": variables or {}},
        timeout=timeout,
        trust_env=False,  # a proxy of the machine has no business between us and ourselves
    )
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


def location_errors(webserver_port: int) -> dict[str, dict[str, Any]]:
    """Every code location that is not loaded, by name, with Dagster's error. Raises :class:`httpx.HTTPError`."""
    workspace = _graphql(webserver_port, _LOCATIONS)["workspaceOrError"]
    if workspace["__typename"] != "Workspace":
        return {"workspace": workspace}
    entries = workspace["locationEntries"]
    if not entries:
        return {"workspace": {"__typename": "Empty", "message": "no code location"}}
    loads = {str(entry["name"]): entry["locationOrLoadError"] or {"__typename": "Loading"} for entry in entries}
    return {name: load for name, load in loads.items() if load["__typename"] != "RepositoryLocation"}


def is_unreachable(error: dict[str, Any]) -> bool:
    """True if a location's error is that its code server did not answer."""
    return any(word in f"{error.get('className')} {error.get('message')}" for word in _UNREACHABLE)


def reload_location(webserver_port: int, name: str) -> None:
    """Have the code server load the location anew. Raises :class:`httpx.HTTPError`."""
    _graphql(webserver_port, _RELOAD, {"name": name}, timeout=180)


def why_webserver_not_ready(port: int) -> str | None:
    """Ready when it answers and the code location is loaded. Raises :class:`ServiceError` for broken definitions."""
    try:
        errors = location_errors(port)
    except (httpx.HTTPError, KeyError, ValueError) as error:
        return f"it does not answer ({type(error).__name__})"
    for name, problem in errors.items():
        if problem["__typename"] == "PythonError" and not is_unreachable(problem):
            causes = [link["error"]["message"] for link in problem.get("errorChain") or []]
            words = "\n".join(str(message).strip() for message in [problem["message"], *causes])
            raise ServiceError(f"Dagster cannot load the code location {name}:\n{words}")
        return f"location {name} is not loaded yet"
    return None


def why_daemon_not_ready(webserver_port: int) -> str | None:
    """Ready when every daemon that this instance needs has sent a heartbeat lately."""
    try:
        statuses = _graphql(webserver_port, _DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
        return f"the webserver does not answer ({type(error).__name__})"
    silent = [str(status["daemonType"]) for status in statuses if status["required"] and not status["healthy"]]
    return f"no heartbeat yet from {', '.join(silent)}" if silent else None


def why_api_not_ready(port: int) -> str | None:
    """Ready when its health page says so."""
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{port}/health", timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return f"it does not answer ({type(error).__name__})"
    return None if answer.status_code == 200 else f"it answers {answer.status_code}"

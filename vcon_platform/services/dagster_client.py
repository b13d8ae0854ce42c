"""Dagster, asked from outside over its webserver's GraphQL: what the CLI, the demo and the end-to-end tests need.

Belongs here: one method per question. Not here: deciding anything. (Dagster's own ``DagsterGraphQLClient`` only
submits runs, reads a status, reloads and terminates.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from vcon_platform.errors import PlatformError

Strategy = Literal["ALL_STEPS", "FROM_FAILURE"]
_FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
_RUN = "runId status jobName creationTime startTime endTime tags { key value }"
_REPOSITORY = {"repositoryLocationName": "vcon_platform", "repositoryName": "__repository__"}


class DagsterRefused(PlatformError):
    """Dagster does not answer, or not as asked; the message has its words."""


class DagsterSilent(DagsterRefused):
    """Nothing came back in time: it is down, or busy with what it was asked."""


@dataclass(frozen=True, slots=True)
class RunState:
    """One run. ``tags`` by their names; ``finished``: success, failure or canceled. ``job``: Dagster's name for what
    runs. ``created``, ``started``, ``ended``: epoch seconds, None: not yet."""

    id: str
    status: str
    tags: Mapping[str, str]
    job: str = ""
    created: float | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def finished(self) -> bool:
        return self.status in _FINISHED


class DagsterClient:
    """The webserver at ``url``. Raises :class:`DagsterRefused` throughout."""

    def __init__(self, url: str, timeout: float = 60.0) -> None:
        self.url = url
        self._timeout = timeout

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The ``data`` of a GraphQL answer."""
        try:
            response = httpx.post(
                f"{self.url}/graphql", json={"query": text, "variables": variables}, timeout=self._timeout
            )
            answer = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterSilent(
                f"The Dagster UI at {self.url} does not answer ({type(error).__name__}). Is it up? See "
                "'vcon-platform status'."
            ) from None
        if answer.get("errors"):
            raise DagsterRefused(f"Dagster refused: {answer['errors'][0].get('message', 'unknown error')}")
        data: dict[str, Any] = answer["data"]
        return data

    def run_url(self, run_id: str) -> str:
        """The page of a run."""
        return f"{self.url}/runs/{run_id}"

    def runs(
        self, tags: Mapping[str, str] | None = None, limit: int = 25, statuses: Sequence[str] = ()
    ) -> list[RunState]:
        """Runs that carry all these tags, newest first. ``statuses``: those in one of them only."""
        filters: dict[str, Any] = {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]}
        if statuses:
            filters["statuses"] = list(statuses)
        data = self.query(
            f"""query($filter: RunsFilter, $limit: Int) {{ runsOrError(filter: $filter, limit: $limit) {{
                 __typename ... on Runs {{ results {{ {_RUN} }} }} }} }}""",
            filter=filters,
            limit=limit,
        )
        return [_run(found) for found in data["runsOrError"].get("results", [])]

    def run(self, run_id: str) -> RunState:
        """One run."""
        data = self.query(
            f"query($id: ID!) {{ runOrError(runId: $id) {{ __typename ... on Run {{ {_RUN} }} }} }}",
            id=run_id,
        )
        return _run(_expect(data["runOrError"], "Run"))

    def re_execute(self, run_id: str, strategy: Strategy) -> str:
        """Re-execute a run as the UI's button does; gives the new run's id."""
        data = self.query(
            """mutation($parameters: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $parameters) {
                 __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            parameters={"parentRunId": run_id, "strategy": strategy},
        )
        return str(_expect(data["launchRunReexecution"], "LaunchRunSuccess")["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """End a run as the UI's button does."""
        data = self.query(
            """mutation($id: String!) { terminateRun(runId: $id) {
                 __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }""",
            id=run_id,
        )
        _expect(data["terminateRun"], "TerminateRunSuccess")

    def daemon_beat(self) -> float | None:
        """When Dagster's daemon gave its last sign of life (epoch seconds); None if it never did."""
        data = self.query("{ instance { daemonHealth { allDaemonStatuses { lastHeartbeatTime } } } }")
        statuses = data["instance"]["daemonHealth"]["allDaemonStatuses"]
        return max((each["lastHeartbeatTime"] for each in statuses if each["lastHeartbeatTime"]), default=None)

    def partitions(self, asset: Sequence[str]) -> list[str]:
        """The partition keys of an asset, oldest first."""
        data = self.query(
            """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) {
                 __typename ... on AssetNode { partitionKeys } } }""",
            key={"path": list(asset)},
        )
        return list(_expect(data["assetNodeOrError"], "AssetNode")["partitionKeys"])

    def backfill(
        self, assets: Sequence[Sequence[str]], partitions: Sequence[str], config: Mapping[str, Any] | None = None
    ) -> str:
        """Launch a backfill of these partitions of some assets as the UI does, with ``config`` for its runs; gives its
        id."""
        data = self.query(
            """mutation($parameters: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $parameters) {
                 __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
                 ... on PartitionKeysNotFoundError { message } } }""",
            parameters={
                "assetSelection": [{"path": list(asset)} for asset in assets],
                "partitionNames": list(partitions),
                "runConfigData": dict(config or {}),
            },
        )
        return str(_expect(data["launchPartitionBackfill"], "LaunchBackfillSuccess")["backfillId"])

    def backfill_status(self, backfill_id: str) -> str:
        """REQUESTED, COMPLETED_SUCCESS, COMPLETED_FAILED, FAILED, CANCELED…"""
        data = self.query(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
                 __typename ... on PartitionBackfill { status } } }""",
            id=backfill_id,
        )
        return str(_expect(data["partitionBackfillOrError"], "PartitionBackfill")["status"])

    def report_materialization(self, asset: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Record that an asset was materialised outside of any run. Raises :class:`DagsterRefused`."""
        try:
            response = httpx.post(
                f"{self.url}/report_asset_materialization/{'/'.join(asset)}",
                json={"metadata": dict(metadata)},
                timeout=self._timeout,
            )
        except httpx.HTTPError as error:
            raise DagsterRefused(f"The Dagster UI at {self.url} does not answer ({type(error).__name__}).") from None
        if response.is_error:
            raise DagsterRefused(f"Dagster refused the report of {'/'.join(asset)} ({response.status_code}).")

    def reload_location(self) -> str | None:
        """Have the code server load everything anew, and wait for it (seconds). Gives what is wrong with the
        definitions as a whole, None if they loaded."""
        data = self.query(
            """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
                 __typename
                 ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
                 ... on PythonError { message } ... on ReloadNotSupported { message }
                 ... on RepositoryLocationNotFound { message } } }""",
            name=_REPOSITORY["repositoryLocationName"],
        )
        entry = _expect(data["reloadRepositoryLocation"], "WorkspaceLocationEntry")
        return _load_error(entry["locationOrLoadError"])

    def location_error(self) -> str | None:
        """Why the code location is not loaded; None if it is. (``loadStatus: LOADED`` also stands beside an error, so
        that is not what is asked.)"""
        workspace = self.query(
            """{ workspaceOrError { __typename ... on PythonError { message } ... on Workspace { locationEntries {
                 name locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
        )["workspaceOrError"]
        for entry in _expect(workspace, "Workspace")["locationEntries"]:
            if entry["name"] == _REPOSITORY["repositoryLocationName"]:
                return _load_error(entry["locationOrLoadError"])
        return "there is no code location"

    def pipeline_versions(self) -> dict[str, str]:
        """The version of each pipeline that the code server has loaded, and runs from now on."""
        nodes = self.query(
            """{ assetNodes { assetKey { path } groupName
                 metadataEntries { label ... on TextMetadataEntry { text } } } }"""
        )["assetNodes"]
        loaded: dict[str, str] = {}
        for node in nodes:
            match node["assetKey"]["path"]:
                case ["pipelines", name]:
                    told = {entry["label"]: entry.get("text") for entry in node["metadataEntries"]}
                    loaded[str(name)] = str(told.get("version") or "")
        return loaded

    def asset_keys(self) -> list[str]:
        """Every asset of the deployment, as ``a/b/c``."""
        nodes = self.query("{ assetNodes { assetKey { path } } }")["assetNodes"]
        return sorted("/".join(node["assetKey"]["path"]) for node in nodes)


def _run(found: Mapping[str, Any]) -> RunState:
    return RunState(
        found["runId"],
        found["status"],
        {tag["key"]: tag["value"] for tag in found["tags"]},
        job=found.get("jobName") or "",
        created=found.get("creationTime"),
        started=found.get("startTime"),
        ended=found.get("endTime"),
    )


def _load_error(found: Mapping[str, Any] | None) -> str | None:
    if found is None:
        return "it is loading"
    return None if found["__typename"] == "RepositoryLocation" else str(found.get("message") or found["__typename"])


def _expect(answer: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if answer["__typename"] != kind:
        raise DagsterRefused(f"Dagster refused: {answer['__typename']}: {answer.get('message', '')}".rstrip(": "))
    return answer

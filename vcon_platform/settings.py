"""Settings: what may differ between two installations, read from the environment and ``.env``.

Belongs here: ports, folders, URLs, limits. Does not belong here: what a pipeline does (``pipelines/``) or
anything computed. Nothing is read at import; call :func:`load_settings`.

Secrets of the embedded services are files under ``{data_dir}/secrets`` (mode 0600), made at first start,
so that no password stands in the environment, in a process list or in ``.env``.
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from vcon_platform.errors import PlatformError


class SettingsError(PlatformError):
    """A setting is missing or cannot be used; the message names it and the cure."""


def project_root() -> Path:
    """The folder that holds ``workspace.yaml``: ``VCON_ROOT``, else the checkout this package stands in."""
    return Path(os.environ.get("VCON_ROOT", Path(__file__).resolve().parents[1]))


class Settings(BaseSettings):
    """One installation. Every field is an environment variable of the name given as its alias."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    root: Path = Field(
        default_factory=project_root,
        alias="VCON_ROOT",
        title="Project folder",
        description="The folder that holds workspace.yaml, pipelines/ and dagster_home/.",
    )
    data_dir_setting: Path | None = Field(
        default=None,
        alias="VCON_DATA_DIR",
        title="Data folder",
        description="Redis, Postgres, media, logs and secrets. Default: dagster_home/data.",
    )
    pipelines_dir_setting: Path | None = Field(
        default=None,
        alias="VCON_PIPELINES_DIR",
        title="Definitions folder",
        description="Pipeline, projection and adapter definitions (YAML or JSON). Default: pipelines/.",
    )
    redis_url_setting: SecretStr | None = Field(
        default=None,
        alias="REDIS_URL",
        title="Redis of your own",
        description="A Redis with the JSON and search modules. Unset: the embedded one is started.",
    )
    postgres_url_setting: SecretStr | None = Field(
        default=None,
        alias="POSTGRES_URL",
        title="Postgres of your own",
        description="postgresql://user:password@host:port/database. Unset: the embedded one is started.",
    )
    redis_port: int = Field(default=16390, alias="VCON_REDIS_PORT", title="Port of the embedded Redis")
    postgres_port: int = Field(default=15490, alias="VCON_POSTGRES_PORT", title="Port of the embedded Postgres")
    code_server_port: int = Field(default=14000, alias="VCON_CODE_SERVER_PORT", title="Port of Dagster's code server")
    webserver_port: int = Field(default=3000, alias="VCON_WEBSERVER_PORT", title="Port of the Dagster UI")
    api_port: int = Field(default=8000, alias="VCON_API_PORT", title="Port of the REST API")
    api_workers: int = Field(
        default=1,
        alias="VCON_API_WORKERS",
        title="Processes of the REST API",
        description="How many processes serve the REST API. More than one helps where the machine has cores to spare.",
        ge=1,
        le=64,
    )
    compat: Literal["", "py_vcon"] = Field(
        default="",
        alias="VCON_COMPAT",
        title="Old statuses",
        description="'py_vcon': the API at the root path answers with py_vcon_server's own statuses, also where they "
        "are wrong, for clients that test for them.",
    )
    egress_format: Literal["0.4.0", "0.0.1"] = Field(
        default="0.4.0",
        alias="EGRESS_FORMAT_VERSION",
        title="Form for the conserver's clients",
        description="In which form the API under /api gives vCons out; the conserver's own name for it.",
    )
    cors_origins_setting: str = Field(
        default="",
        alias="VCON_CORS_ORIGINS",
        title="Origins",
        description="Web pages whose scripts may use the API, separated by commas: https://desk.example.org. Empty: "
        "none.",
    )
    oidc_issuer: str = Field(
        default="",
        alias="VCON_OIDC_ISSUER",
        title="Identity provider",
        description="The issuer whose tokens the API takes beside keys, e.g. https://login.example.org/realms/calls. "
        "Empty: keys only.",
    )
    oidc_audience: str = Field(
        default="vcon-platform",
        min_length=1,
        alias="VCON_OIDC_AUDIENCE",
        title="Audience",
        description="The audience that a token must be meant for.",
    )
    oidc_jwks_url: str = Field(
        default="",
        alias="VCON_OIDC_JWKS_URL",
        title="Keys of the identity provider",
        description="Where its keys are. Empty: where its discovery document says.",
    )
    oidc_scope_claim: str = Field(
        default="scope",
        min_length=1,
        alias="VCON_OIDC_SCOPE_CLAIM",
        title="Claim with scopes",
        description="The claim that lists what the bearer may do: a text with blanks, or a list.",
    )
    oidc_scope_prefix: str = Field(
        default="",
        alias="VCON_OIDC_SCOPE_PREFIX",
        title="Prefix of scopes",
        description="What stands before our scopes there, e.g. 'vcon:' for vcon:read.",
    )
    media_inline_max: int = Field(
        default=256 * 1024,
        alias="VCON_MEDIA_INLINE_MAX",
        title="Largest body kept inside a document",
        description="Bytes before encoding; larger bodies move to the media store by content hash.",
        ge=0,
    )
    document_bytes: int = Field(
        default=1 << 30,
        alias="VCON_DOCUMENT_BYTES",
        title="Largest document",
        description="Bytes of a posted document, with its bodies. Memory does not depend on it: bodies are streamed.",
        ge=1024,
    )
    live_seconds: int = Field(
        default=0,
        alias="VCON_LIVE_SECONDS",
        title="Time in Redis",
        description="Seconds a document stays in Redis after it was last written; then it is read from the archive. "
        "0: for good.",
        ge=0,
    )
    zone: str = Field(
        default="UTC",
        alias="VCON_ZONE",
        title="Time zone",
        description="Of dates in documents that name none, e.g. Europe/Berlin.",
    )
    region: str | None = Field(
        default=None,
        alias="VCON_REGION",
        title="Region",
        description="Where numbers without a country code are at home, e.g. US or DE: they are then found as E.164. "
        "Unset: by their digits only. After a change: vcon-platform store reindex.",
        pattern="^[A-Z]{2}$",
    )
    trust_dir: Path | None = Field(
        default=None,
        alias="VCON_TRUST_DIR",
        title="Trusted roots",
        description="Folder of PEM certificates by which signatures are judged. Unset: none is judged.",
    )
    decryption_keys_dir: Path | None = Field(
        default=None,
        alias="VCON_DECRYPTION_KEYS_DIR",
        title="Decryption keys",
        description="Folder of PEM private keys; encrypted vCons that one of them opens are read. Unset: none is.",
    )
    object_store_url: str = Field(
        default="",
        alias="VCON_OBJECT_STORE_URL",
        title="Object store",
        description="Media, archive and checkpoints: a folder, s3://bucket/prefix, gs://bucket/prefix or "
        "az://container/prefix; options as query parameters (endpoint, region, account_name, allow_http), credentials "
        "from the environment or by name (access_key_id=env:MY_KEY). Unset: a folder in the data folder.",
    )
    fetch: Literal["off", "verified", "any"] = Field(
        default="verified",
        alias="VCON_FETCH",
        title="Fetch outside media",
        description="off: no outside url is fetched. verified: only those that carry a content_hash, which is checked. "
        "any: all that the guard allows (https, public addresses).",
    )
    fetch_hosts_setting: str = Field(
        default="",
        alias="VCON_FETCH_HOSTS",
        title="Hosts that media are fetched from",
        description="Separated by commas: example.org is that host, .example.org every host below it. Unset: any "
        "public host.",
    )
    fetch_ports_setting: str = Field(
        default="443",
        alias="VCON_FETCH_PORTS",
        title="Ports that media are fetched from",
        description="Separated by commas.",
        pattern=r"^\d{1,5}(\s*,\s*\d{1,5})*$",
    )
    fetch_max_bytes: int = Field(
        default=512 * 1024 * 1024,
        alias="VCON_FETCH_MAX_BYTES",
        title="Largest outside media",
        description="Bytes; what is larger is not fetched.",
        ge=1,
    )
    fetch_seconds: float = Field(
        default=300.0,
        alias="VCON_FETCH_SECONDS",
        title="Time to fetch",
        description="Seconds for one outside url, redirects included.",
        gt=0,
    )
    lease_seconds: int = Field(
        default=60,
        alias="VCON_LEASE_SECONDS",
        title="Lease",
        description="Seconds after which a batch whose run stopped beating gives its jobs back.",
        ge=2,
    )
    max_attempts: int = Field(
        default=5,
        alias="VCON_MAX_ATTEMPTS",
        title="Attempts",
        description="How often a job may be leased before it counts as poison and goes to the dead queue.",
        ge=1,
    )
    run_detail_days: int = Field(
        default=30,
        alias="VCON_RUN_DETAIL_DAYS",
        title="Days of run details",
        description="Days after which the details of a finished run (its log, inputs and outputs) are deleted. What it "
        "materialized, how it ended and why is kept for good.",
        ge=1,
    )
    max_batch_runs: int = Field(
        default_factory=lambda: os.cpu_count() or 2,
        alias="VCON_MAX_BATCH_RUNS",
        title="Batch runs at once",
        description="Most runs that the dispatcher has under way, over all pipelines of the batch lane. Default: the "
        "number of cores.",
        ge=1,
    )
    pools_setting: str = Field(
        default="",
        alias="VCON_POOLS",
        title="Pools",
        description="How many calls of a pool's processors may be under way at once, over all processes and machines: "
        "deepgram:5,openai:20. A pool that is not named has no limit.",
    )
    partitions_start: date = Field(
        default=date(2024, 1, 1),
        alias="VCON_PARTITIONS_START",
        title="First day",
        description="First daily partition of projections and historical sources (UTC).",
    )

    @property
    def data_dir(self) -> Path:
        """Where everything that is made at run time lives. Absolute."""
        return (self.data_dir_setting or self.root / "dagster_home" / "data").absolute()

    @property
    def pipelines_dir(self) -> Path:
        """Where definitions are read from. Absolute."""
        return (self.pipelines_dir_setting or self.root / "pipelines").absolute()

    @property
    def dagster_home(self) -> Path:
        """``DAGSTER_HOME``: the folder of dagster.yaml. Absolute, as Dagster demands."""
        return (self.root / "dagster_home").absolute()

    @property
    def objects_dir(self) -> Path:
        """The object store's local folder: media, archive and checkpoints."""
        return self.data_dir / "objects"

    @property
    def objects_url(self) -> str:
        """Where the object store is: ``VCON_OBJECT_STORE_URL``, else the local folder."""
        return self.object_store_url or self.objects_dir.as_uri()

    @property
    def spool_dir(self) -> Path:
        """Where large bodies wait while they are hashed; nothing in it outlives its process."""
        return self.data_dir / "spool"

    @property
    def cors_origins(self) -> list[str]:
        """The origins of ``VCON_CORS_ORIGINS``. Raises :class:`SettingsError`."""
        found = [origin.strip() for origin in self.cors_origins_setting.split(",") if origin.strip()]
        for origin in found:
            if re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?", origin) is None:
                raise SettingsError(
                    f"VCON_CORS_ORIGINS: {origin!r} is no origin. Write scheme and host of each page: "
                    "https://desk.example.org,http://localhost:8080"
                )
        return found

    @property
    def fetch_hosts(self) -> tuple[str, ...]:
        """The hosts of ``VCON_FETCH_HOSTS``."""
        return tuple(host.strip().lower() for host in self.fetch_hosts_setting.split(",") if host.strip())

    @property
    def fetch_ports(self) -> frozenset[int]:
        """The ports of ``VCON_FETCH_PORTS``."""
        return frozenset(int(port) for port in self.fetch_ports_setting.split(","))

    @property
    def pools(self) -> dict[str, int]:
        """The limits of ``VCON_POOLS``. Raises :class:`SettingsError`."""
        limits: dict[str, int] = {}
        for part in filter(None, (each.strip() for each in self.pools_setting.split(","))):
            found = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_.-]*)\s*:\s*(\d{1,6})", part)
            if found is None or int(found[2]) == 0 or found[1] in limits:
                raise SettingsError(
                    f"VCON_POOLS: {part!r} cannot be used. Name each pool once, with a number from 1 on: "
                    "VCON_POOLS=deepgram:5,openai:20"
                )
            limits[found[1]] = int(found[2])
        return limits

    @property
    def embedded_redis(self) -> bool:
        """True if this installation starts its own Redis."""
        return self.redis_url_setting is None

    @property
    def embedded_postgres(self) -> bool:
        """True if this installation starts its own Postgres."""
        return self.postgres_url_setting is None

    def secret_path(self, name: str) -> Path:
        """The file that holds a generated secret."""
        return self.data_dir / "secrets" / name

    def _secret(self, name: str) -> str:
        try:
            return self.secret_path(name).read_text().strip()
        except FileNotFoundError:
            raise SettingsError(
                f"{self.secret_path(name)} does not exist: the embedded services of {self.data_dir} were never "
                "started. Run 'vcon-platform up', or set REDIS_URL and POSTGRES_URL to servers of your own."
            ) from None

    def redis_url(self) -> str:
        """Where Redis is. Raises :class:`SettingsError` when the embedded one was never started."""
        if self.redis_url_setting is not None:
            return self.redis_url_setting.get_secret_value()
        return f"redis://:{quote(self._secret('redis_password'))}@127.0.0.1:{self.redis_port}/0"

    def postgres_url(self) -> str:
        """Where Postgres is, always with the driver named (what a bare ``postgresql://`` means depends on
        SQLAlchemy's version). Raises :class:`SettingsError` when the embedded one was never started."""
        if self.postgres_url_setting is not None:
            url = self.postgres_url_setting.get_secret_value()
            scheme, separator, rest = url.partition("://")
            if not separator or scheme.partition("+")[0] not in ("postgres", "postgresql"):
                raise SettingsError("POSTGRES_URL must look like postgresql://user:password@host:port/database")
            return f"postgresql+psycopg2://{rest}"
        return (
            f"postgresql+psycopg2://postgres:{quote(self._secret('postgres_password'))}"
            f"@127.0.0.1:{self.postgres_port}/postgres"
        )

    def dagster_postgres_url(self) -> str:
        """Postgres for Dagster's own tables: same database, schema ``dagster``, so that a projection may be
        called ``runs``."""
        url = self.postgres_url()
        return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Ddagster"


#: Names another file than ``{root}/.env``; empty: none, as for the processes that ``up`` starts with all they need.
ENV_FILE_VARIABLE = "VCON_ENV_FILE"


def env_file() -> Path | None:
    """The ``.env`` of this installation, wherever the caller stands; None if there is none to read."""
    named = os.environ.get(ENV_FILE_VARIABLE)
    file = project_root() / ".env" if named is None else Path(named) if named else None
    return file if file is not None and file.is_file() else None


def load_settings() -> Settings:
    """Read the environment and ``.env`` now. Cheap; call it where a process or a resource starts."""
    return Settings(_env_file=env_file())

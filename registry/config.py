"""Every setting of the service: its environment variable, default, unit and meaning, in one table: `Settings`.

Settings come from environment variables and from nowhere else. A setting that is a secret can also be read from a
file, named by the same variable with `_FILE` behind it. Whatever is unknown, malformed or unsafe stops the start with
one line that says what to do; the README's table is made from this page (`make settings`) and a test compares both.
"""

import dataclasses
import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from registry import trust
from registry.database_url import DatabaseUrl

PREFIX = "REGISTRY_"
TEST_PREFIX = "REGISTRY_TEST_"
"""Variables of the test suite, which the service leaves alone."""
OF_THE_CLIENT = frozenset({"REGISTRY_URL", "REGISTRY_TOKEN", "REGISTRY_TOKEN_FILE"})
"""Variables of the command line and the Python client, which say where a service is; no settings of one."""

DRIVER = "postgresql+psycopg2"
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql", DRIVER})
SHORTEST_TOKEN = 20
LONGEST_TOKEN_DAYS = 36_500
LOG_LEVELS = ("debug", "info", "warning", "error")

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigError(Exception):
    """A setting that the service will not start with; the text is one line that says what to do."""


class _Refused(Exception):
    """What a reader has against a value; `from_env` puts the variable's name before it."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: the field it sets and what the README says about it."""

    name: str
    field: str
    default: str
    unit: str
    meaning: str
    secret: bool


def _text(value: str) -> str:
    return value


def _switch(value: str) -> bool:
    if value.lower() not in {"on", "off"}:
        raise _Refused("must be 'on' or 'off'")
    return value.lower() == "on"


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise _Refused(f"must be a whole number from {low} to {high}")
        return int(value)

    return read


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def read(value: str) -> float:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", value) or not low <= float(value) <= high:
            raise _Refused(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return read


def _one_of(*words: str) -> Callable[[str], Any]:
    def read(value: str) -> str:
        if value.lower() not in words:
            raise _Refused("must be one of " + ", ".join(words))
        return value.lower()

    return read


def _host(value: str) -> str:
    bare = value.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", bare) or (":" in bare and not _is_address(bare)):
        raise _Refused("must be an address or a host name, without scheme and port (the port is REGISTRY_PORT)")
    return bare


def _directory(value: str) -> Path:
    return Path(value).expanduser()


def _admin_token(value: str) -> str:
    if not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},512}}", value):
        raise _Refused(
            f"must have {SHORTEST_TOKEN} to 512 visible ASCII characters and no spaces "
            "(make one with: openssl rand -hex 32)"
        )
    return value


def _database_url(value: str) -> str:
    """Return the URL with our driver, leading to the primary."""
    return with_driver(to_the_primary(_postgres(value)))


def _replica_url(value: str) -> str:
    """Return the URL of one server: of several, each connection could lead to another one, which is older."""
    url = _postgres(value)
    if not isinstance(url.query.get("host", ""), str) or "," in f"{url.host}{url.query.get('host', '')}":
        raise _Refused("must name one server: what is known of one replica says nothing about another one")
    return with_driver(url)


def _postgres(value: str) -> DatabaseUrl:
    """Return the URL of a database; its text is a secret, so no message repeats any of it."""
    try:
        url = DatabaseUrl.parse(value)
        url.options()
    except ValueError:
        raise _Refused(
            "is not a database URL like postgresql://user:password@host:5432/database "
            "(several hosts are written postgresql://user@/database?host=one:5432&host=two:5432)"
        ) from None
    if url.driver not in POSTGRES_SCHEMES:
        raise _Refused("must be a postgresql:// URL: the registry runs on PostgreSQL 14 or newer and nothing else")
    if not url.database:
        raise _Refused("names no database: it must end in /database")
    if url.query.get("sslrootcert") == "system":
        trust.find_roots()
    return url


def to_the_primary(url: DatabaseUrl) -> DatabaseUrl:
    """Of several hosts, take the one that takes writes, which after a failover is another one; the URL may say other.

    The driver would be content with the first that answers, which may be a standby for ever.
    """
    hosts = url.query.get("host", ())
    several = not isinstance(hosts, str) or "," in hosts
    if not hosts or not several or "target_session_attrs" in url.query:
        return url
    return url.with_parameter("target_session_attrs", "read-write")


def _tracking_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value):
        raise _Refused("must be an http:// or https:// URL of an MLflow tracking server")
    return value.rstrip("/")


def _hosts(value: str) -> frozenset[str]:
    hosts = [host.strip().lower() for host in value.split(",")]
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", host) for host in hosts):
        raise _Refused("must be host names separated by commas, without scheme, port and path")
    return frozenset(hosts)


def _origins(value: str) -> frozenset[str]:
    origins = [origin.strip().lower() for origin in value.split(",")]
    if "*" in origins:
        raise _Refused("must name the origins: with '*' a page of anybody could use a token that it gets hold of")
    for origin in origins:
        named = re.fullmatch(r"(https?)://([a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?", origin)
        if not named:
            raise _Refused(
                "must be origins like https://host or https://host:8443, separated by commas, without a path"
            )
        if named[1] == "http" and not is_loopback(named[2]):
            raise _Refused("must be https:// origins; http:// is taken for localhost and loopback addresses alone")
    return frozenset(origins)


def _log_name(value: str) -> str:
    if not re.fullmatch(r"[!-*,-~]{1,200}", value) or re.search(r"/[0-9]+$", value):
        raise _Refused("must be visible ASCII without spaces and plus signs, and not end in /number, as epochs do")
    return value


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in value.split(","))
    except ValueError:
        raise _Refused("must be addresses or networks like 10.1.2.3 or 10.1.0.0/16, separated by commas") from None


def _setting(
    default: T,
    variable: str,
    read: Callable[[str], Any],
    meaning: str,
    *,
    unit: str = "",
    shown: str | None = None,
    secret: bool = False,
) -> T:
    """Declare one row of the table; `shown` is the default in the README's words where the value says little."""
    row = {"variable": PREFIX + variable, "read": read, "meaning": meaning, "unit": unit, "shown": shown}
    made: Any = dataclasses.field(default=default, metadata=row | {"secret": secret}, repr=not secret)
    declared: T = made
    return declared


@dataclass(frozen=True)
class Settings:
    """All that the service can be told. Durations and sizes have their unit in the name."""

    # fmt: off
    database_url: str | None = _setting(
        None, "DATABASE_URL", _database_url,
        "PostgreSQL to use, `postgresql://user:password@host/database`. Without it the service starts one of its own.",
        shown="embedded", secret=True,
    )
    database_pooler: Literal["none", "transaction"] = _setting(
        "none", "DATABASE_POOLER", _one_of("none", "transaction"),
        "`transaction` where `REGISTRY_DATABASE_URL` leads through a pooler in transaction mode, such as PgBouncer.",
    )
    direct_database_url: str | None = _setting(
        None, "DIRECT_DATABASE_URL", _database_url,
        "The same database around the pooler, for what needs a session of its own: the sealer, `registry db upgrade`, "
        "`registry export` and `import`, and `registry audit verify --db`.",
        shown="as `REGISTRY_DATABASE_URL`", secret=True,
    )
    replica_url: str | None = _setting(
        None, "REPLICA_URL", _replica_url,
        "A streaming replica of the database that answers what may be a moment old: searches, the audit log and "
        "questions about the past.",
        shown="none", secret=True,
    )
    replica_max_lag_seconds: float = _setting(
        5.0, "REPLICA_MAX_LAG_SECONDS", _seconds(0.5, 3600),
        "How old such an answer may be; while the replica is older, the primary answers.", unit="seconds",
    )
    data_dir: Path = _setting(  # noqa: RUF009 (a field, and immutable)
        Path("registry-data"), "DATA_DIR", _directory, "Directory of the embedded PostgreSQL's files."
    )
    host: str = _setting("127.0.0.1", "HOST", _host, "Address to listen on.")
    port: int = _setting(5055, "PORT", _whole(1, 65535), "Port to listen on.")
    auth: bool = _setting(
        True, "AUTH", _switch,
        "`off` lets everyone do everything; refused unless `REGISTRY_HOST` is a loopback address.", shown="on",
    )
    token_days: int = _setting(
        0, "TOKEN_DAYS", _whole(0, LONGEST_TOKEN_DAYS),
        "After how long a token expires for which nobody says so; 0 means never, or after the longest time allowed. "
        "`REGISTRY_ADMIN_TOKEN` does not expire.",
        unit="days",
    )
    token_days_max: int = _setting(
        0, "TOKEN_DAYS_MAX", _whole(0, LONGEST_TOKEN_DAYS),
        "Longest time that a token may be made for; 0 sets no limit. Tokens that are there stay as they are.",
        unit="days",
    )
    oidc_file: Path | None = _setting(  # noqa: RUF009 (a field, and immutable)
        None, "OIDC_FILE", _directory,
        "File, TOML or JSON, that names the OpenID Connect issuers whose JWTs are taken as credentials.", shown="none",
    )
    failed_attempts_per_address: int = _setting(
        100, "FAILED_ATTEMPTS_PER_ADDRESS", _whole(0, 1_000_000),
        "So many credentials that open no door may come from one address (of IPv6: one /64) in the time below before "
        "more of them are refused with 429; 0 sets no limit. A good credential always passes.",
    )
    failed_attempts_per_token: int = _setting(
        20, "FAILED_ATTEMPTS_PER_TOKEN", _whole(0, 1_000_000),
        "The same for credentials that begin with the same 12 characters, wherever they come from.",
    )
    failed_attempts_seconds: int = _setting(
        60, "FAILED_ATTEMPTS_SECONDS", _whole(1, 86_400),
        "How long failed attempts are counted, from the first one on.", unit="seconds",
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), "TRUSTED_PROXIES", _networks,
        "Addresses or networks of proxies, separated by commas, whose `X-Forwarded-For` is believed. Without it all "
        "callers behind a proxy have its address.",
        shown="none",
    )
    admin_token: str | None = _setting(
        None, "ADMIN_TOKEN", _admin_token,
        f"The first administrator's token, at least {SHORTEST_TOKEN} characters, for unattended installations.",
        shown="made and printed once", secret=True,
    )
    metrics_token: str | None = _setting(
        None, "METRICS_TOKEN", _admin_token,
        "What `/metrics` then wants as a Bearer token; without it, it is open to whoever reaches the service.",
        shown="none", secret=True,
    )
    tracking_url: str | None = _setting(
        None, "TRACKING_URL", _tracking_url,
        "MLflow tracking server that is asked where a logged model (`models:/m-…`) lies when a version is created.",
        shown="none",
    )
    tracking_timeout_seconds: float = _setting(
        2.0, "TRACKING_TIMEOUT_SECONDS", _seconds(0.1, 30), "How long to wait for that server.", unit="seconds"
    )
    version_numbers: Literal["continue", "restart"] = _setting(
        "continue", "VERSION_NUMBERS", _one_of("continue", "restart"),
        "Numbers of a model made again under the name of a deleted one: `continue` never uses a number twice, "
        "`restart` begins at 1 as an MLflow server does.",
    )
    local_sources: bool = _setting(
        False, "LOCAL_SOURCES", _switch, "`on` accepts paths of a local file system as sources.", shown="off"
    )
    source_hosts: frozenset[str] = _setting(
        frozenset(), "SOURCE_HOSTS", _hosts,
        "Hosts that sources with a host (`https`, `abfss`, `hdfs` and the like) may name, separated by commas.",
        shown="none",
    )
    max_body_bytes: int = _setting(
        2 * 1024 * 1024, "MAX_BODY_BYTES", _whole(64 * 1024, 256 * 1024 * 1024), "Longest request body.", unit="bytes"
    )
    kept_answers_mb: int = _setting(
        8, "KEPT_ANSWERS_MB", _whole(0, 4096),
        "Memory of each worker for answers that it has given: whoever asks the same again gets the same, once the "
        "database has said that nothing it rests on has changed. 0 keeps none.",
        unit="MB",
    )
    cors_origins: frozenset[str] = _setting(
        frozenset(), "CORS_ORIGINS", _origins,
        "Origins (`https://host[:port]`) whose pages may call `/api/v1` from a browser, separated by commas.",
        shown="none",
    )
    statement_timeout_ms: int = _setting(
        10_000, "STATEMENT_TIMEOUT_MS", _whole(100, 600_000), "Longest time of one SQL statement.", unit="milliseconds"
    )
    lock_timeout_ms: int = _setting(
        5_000, "LOCK_TIMEOUT_MS", _whole(50, 600_000), "Longest wait for a lock in the database.", unit="milliseconds"
    )
    connect_timeout_seconds: int = _setting(
        5, "CONNECT_TIMEOUT_SECONDS", _whole(2, 60), "Longest wait for a connection to the database.", unit="seconds"
    )
    workers: int = _setting(2, "WORKERS", _whole(1, 256), "Worker processes.")
    threads: int = _setting(4, "THREADS", _whole(1, 256), "Threads of each worker.")
    pool_size: int = _setting(
        0, "POOL_SIZE", _whole(1, 256), "Database connections that each worker keeps.", shown="as `REGISTRY_THREADS`"
    )
    request_timeout_seconds: int = _setting(
        30, "REQUEST_TIMEOUT_SECONDS", _whole(1, 3600),
        "How long a request may take to arrive, its body included; one that takes longer is refused.", unit="seconds",
    )
    worker_timeout_seconds: int = _setting(
        60, "WORKER_TIMEOUT_SECONDS", _whole(5, 3600),
        "A worker that shows no sign of life for this long is replaced.", unit="seconds",
    )
    graceful_timeout_seconds: int = _setting(
        30, "GRACEFUL_TIMEOUT_SECONDS", _whole(1, 3600),
        "At a stop, how long requests under way may take to finish.", unit="seconds",
    )
    max_requests: int = _setting(
        100_000, "MAX_REQUESTS", _whole(0, 1_000_000_000),
        "A worker is replaced after this many requests; 0 means never.",
    )
    max_requests_jitter: int = _setting(
        10_000, "MAX_REQUESTS_JITTER", _whole(0, 1_000_000_000),
        "Up to so many requests more, drawn by chance, so that workers are not replaced together.",
    )
    sealer: bool = _setting(
        True, "SEALER", _switch,
        "`off` if `registry serve` shall not seal the audit log: run one `registry sealer` elsewhere.", shown="on",
    )
    sealer_dir: Path | None = _setting(  # noqa: RUF009 (a field, and immutable)
        None, "SEALER_DIR", _directory,
        "Directory of the sealer's key and of its memory of what it signed. Who runs the database should not have it.",
        shown="`sealer` in `REGISTRY_DATA_DIR`",
    )
    sealer_interval_ms: int = _setting(
        1_000, "SEALER_INTERVAL_MS", _whole(10, 60_000), "How often new events are sealed.", unit="milliseconds"
    )
    audit_origin: str = _setting(
        "model-registry/audit", "AUDIT_ORIGIN", _log_name,
        "Name of the log in its checkpoints, such as `registry.example.com/audit`. It stays once the log is sealed.",
    )
    log_level: str = _setting("info", "LOG_LEVEL", _one_of(*LOG_LEVELS), "One of debug, info, warning, error.")
    # fmt: on

    def __post_init__(self) -> None:
        if not self.pool_size:
            object.__setattr__(self, "pool_size", self.threads)
        if not self.auth and not is_loopback(self.host):
            raise ConfigError(
                f"REGISTRY_AUTH=off would open the registry to everyone who can reach {self.host}: "
                "remove it, or set REGISTRY_HOST=127.0.0.1."
            )
        if self.database_url is None and (self.direct_database_url or self.database_pooler != "none"):
            raise ConfigError(
                "REGISTRY_DATABASE_POOLER and REGISTRY_DIRECT_DATABASE_URL say how a database of yours is reached: "
                "set REGISTRY_DATABASE_URL too, or remove them."
            )
        if self.database_url is None and self.replica_url:
            raise ConfigError(
                "REGISTRY_REPLICA_URL names a replica of a database of yours: set REGISTRY_DATABASE_URL too, or "
                "remove it."
            )
        if 0 < self.token_days_max < self.token_days:
            raise ConfigError(
                f"REGISTRY_TOKEN_DAYS={self.token_days} is more than REGISTRY_TOKEN_DAYS_MAX={self.token_days_max}: "
                "make it at most that, or leave it away."
            )


def variables() -> Iterator[Variable]:
    """Yield the rows of the table, in its order."""
    for field in dataclasses.fields(Settings):
        row = field.metadata
        shown = row["shown"] or str(field.default)
        yield Variable(row["variable"], field.name, shown, row["unit"], row["meaning"], row["secret"])


def from_env(environ: Mapping[str, str]) -> Settings:
    """Read all settings from environment variables; an empty variable counts as absent.

    :raises ConfigError: a variable is unknown, or its value is malformed or unsafe.
    """
    given = {name: value for name, value in environ.items() if _is_ours(name) and value.strip()}
    _refuse_service_links(given)
    _refuse_unknown(given)
    read = {}
    for field in dataclasses.fields(Settings):
        value = _value(field.metadata["variable"], given)
        if value is not None:
            read[field.name] = _read(field.metadata, value)
    return Settings(**read)


def database_url(settings: Settings) -> str:
    """Return the URL of the database.

    :raises ConfigError: none is set, and nobody has started the embedded one.
    """
    if settings.database_url is None:
        raise ConfigError(
            "REGISTRY_DATABASE_URL is not set: set it to a PostgreSQL database, "
            "or start the service with `registry serve`, which brings one of its own."
        )
    return settings.database_url


def direct(settings: Settings) -> Settings:
    """Return the settings for what needs a session of its own: they lead around the pooler, if there is one.

    :raises ConfigError: there is one, and nobody has said what leads around it.
    """
    if settings.direct_database_url is not None:
        around = settings.direct_database_url
        return dataclasses.replace(settings, database_url=around, direct_database_url=None, database_pooler="none")
    if settings.database_pooler != "none":
        raise ConfigError(
            "REGISTRY_DIRECT_DATABASE_URL is not set: the sealer (unless REGISTRY_SEALER=off), upgrades and "
            "verification need a session of their own, which a pooler in transaction mode does not give."
        )
    return settings


def with_driver(url: DatabaseUrl) -> str:
    """Write a PostgreSQL URL out with our driver named: SQLAlchemy 2.1 takes psycopg 3 for a bare postgresql://."""
    return url.having(driver=DRIVER).text()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def readme_table() -> str:
    """Return the settings as the README's table, Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for variable in variables():
        unit = f" {variable.unit}" if variable.unit else ""
        file = " Or `" + variable.name + "_FILE`: a file that holds it." if variable.secret else ""
        lines.append(f"| `{variable.name}` | {variable.default}{unit} | {variable.meaning}{file} |")
    return "\n".join(lines) + "\n"


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in OF_THE_CLIENT


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refuse_service_links(given: Mapping[str, str]) -> None:
    """Name the cause where Kubernetes fills our variables: it does so for every service, so also for a 'registry'."""
    if given.get("REGISTRY_PORT", "").startswith("tcp://"):
        raise ConfigError(
            f"REGISTRY_PORT={given['REGISTRY_PORT']} was set by Kubernetes for a service named 'registry': "
            "set enableServiceLinks: false in the pod, or give that service another name."
        )


def _refuse_unknown(given: Mapping[str, str]) -> None:
    known = {variable.name for variable in variables()}
    known |= {variable.name + "_FILE" for variable in variables() if variable.secret}
    for name in sorted(given):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "the README lists all settings; remove it."
            raise ConfigError(f"{name} is not a setting of the registry: {hint}")


def _value(name: str, given: Mapping[str, str]) -> str | None:
    file = given.get(name + "_FILE")
    if file is None:
        return given[name].strip() if name in given else None
    if name in given:
        raise ConfigError(f"{name} and {name}_FILE are both set: remove one of them.")
    return _secret(name + "_FILE", file.strip())


def _secret(variable: str, path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"{variable}={path} cannot be read: {why}.") from None
    if not secret:
        raise ConfigError(f"{variable}={path} is empty: write the secret into it.")
    return secret


def _read(row: Mapping[str, Any], value: str) -> Any:
    try:
        return row["read"](value)
    except _Refused as refused:
        shown = "" if row["secret"] else f"={value}"
        raise ConfigError(f"{row['variable']}{shown} {refused}.") from None

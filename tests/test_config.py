"""Every setting: what is accepted, what is refused and in which words, and that the README tells of each."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from registry import config
from registry.config import ConfigError, Settings, from_env

ROOT = Path(__file__).parent.parent
TOKEN = "0123456789abcdefghij"


def test_without_any_variable_all_defaults_hold() -> None:
    assert from_env({"PATH": "/bin", "HOME": "/root"}) == Settings()


def test_what_tells_the_client_where_a_service_is_is_no_setting_of_one() -> None:
    ours = {"REGISTRY_URL": "http://registry.example", "REGISTRY_TOKEN": "mreg_x", "REGISTRY_TOKEN_FILE": "/x"}
    assert from_env(ours) == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("REGISTRY_DATABASE_URL", "postgres://u:p@h/d", "database_url", "postgresql+psycopg2://u:p@h/d"),
        ("REGISTRY_DATABASE_URL", "postgresql://u:p%40@h:6/d", "database_url", "postgresql+psycopg2://u:p%40@h:6/d"),
        (
            "REGISTRY_DATABASE_URL",
            "postgresql+psycopg2://u@/d?host=a%3A1&host=b%3A2&target_session_attrs=read-write",
            "database_url",
            "postgresql+psycopg2://u@/d?host=a%3A1&host=b%3A2&target_session_attrs=read-write",
        ),
        ("REGISTRY_DATA_DIR", "/srv/registry data", "data_dir", Path("/srv/registry data")),
        ("REGISTRY_SEALER", "off", "sealer", False),
        ("REGISTRY_SEALER_DIR", "/srv/sealer", "sealer_dir", Path("/srv/sealer")),
        ("REGISTRY_AUDIT_ORIGIN", "registry.example.com/audit", "audit_origin", "registry.example.com/audit"),
        ("REGISTRY_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("REGISTRY_HOST", "[::1]", "host", "::1"),
        ("REGISTRY_HOST", "models.example.com", "host", "models.example.com"),
        ("REGISTRY_PORT", "80", "port", 80),
        ("REGISTRY_AUTH", "OFF", "auth", False),
        ("REGISTRY_ADMIN_TOKEN", TOKEN, "admin_token", TOKEN),
        ("REGISTRY_TRACKING_URL", "https://mlflow.example.com/", "tracking_url", "https://mlflow.example.com"),
        ("REGISTRY_TRACKING_TIMEOUT_SECONDS", "0.5", "tracking_timeout_seconds", 0.5),
        ("REGISTRY_VERSION_NUMBERS", "restart", "version_numbers", "restart"),
        ("REGISTRY_LOCAL_SOURCES", "on", "local_sources", True),
        ("REGISTRY_SOURCE_HOSTS", "A.example.com, b", "source_hosts", frozenset({"a.example.com", "b"})),
        (
            "REGISTRY_CORS_ORIGINS",
            "https://Ui.example.com, https://b:8443,http://localhost:3000",
            "cors_origins",
            frozenset({"https://ui.example.com", "https://b:8443", "http://localhost:3000"}),
        ),
        ("REGISTRY_THREADS", "9", "pool_size", 9),
        ("REGISTRY_TOKEN_DAYS", "90", "token_days", 90),
        (
            "REGISTRY_TRUSTED_PROXIES",
            "10.1.2.3, fd00::/8",
            "trusted_proxies",
            (IPv4Network("10.1.2.3/32"), IPv6Network("fd00::/8")),
        ),
        ("REGISTRY_LOG_LEVEL", "Debug", "log_level", "debug"),
        ("REGISTRY_PORT", " ", "port", 5055),
    ],
)
def test_a_good_value_is_taken(variable: str, value: str, field: str, expected: Any) -> None:
    assert getattr(from_env({variable: value}), field) == expected


@pytest.mark.parametrize(
    ("environ", "telling"),
    [
        ({"REGISTRY_PRT": "1"}, "did you mean REGISTRY_PORT?"),
        ({"REGISTRY_ZZZZZZZZZZZ": "1"}, "is not a setting"),
        ({"REGISTRY_PORT": "0"}, "from 1 to 65535"),
        ({"REGISTRY_PORT": "5055x"}, "from 1 to 65535"),
        ({"REGISTRY_PORT": "tcp://10.0.0.1:5055"}, "enableServiceLinks: false"),
        ({"REGISTRY_HOST": "http://here"}, "without scheme"),
        ({"REGISTRY_HOST": "localhost:5055"}, "without scheme and port"),
        ({"REGISTRY_AUTH": "no"}, "'on' or 'off'"),
        ({"REGISTRY_AUDIT_ORIGIN": "a b"}, "without spaces and plus signs"),
        ({"REGISTRY_AUDIT_ORIGIN": "a+b"}, "without spaces and plus signs"),
        ({"REGISTRY_AUDIT_ORIGIN": "registry/audit/2"}, "not end in /number"),
        ({"REGISTRY_SEALER_INTERVAL_MS": "1"}, "from 10 to 60000"),
        ({"REGISTRY_AUTH": "off", "REGISTRY_HOST": "0.0.0.0"}, "REGISTRY_HOST=127.0.0.1"),
        ({"REGISTRY_AUTH": "off", "REGISTRY_HOST": "registry.example.com"}, "open the registry to everyone"),
        ({"REGISTRY_ADMIN_TOKEN": "short"}, "20 to 512 visible ASCII characters"),
        ({"REGISTRY_ADMIN_TOKEN": "x" * 20 + " y"}, "no spaces"),
        ({"REGISTRY_DATABASE_URL": "sqlite:///x.db"}, "runs on PostgreSQL"),
        ({"REGISTRY_DATABASE_URL": "postgresql+psycopg://h/d"}, "runs on PostgreSQL"),
        ({"REGISTRY_DATABASE_URL": "postgresql://h"}, "names no database"),
        ({"REGISTRY_DATABASE_URL": "postgresql://u@a:1,b:2/d"}, "several hosts are written"),
        ({"REGISTRY_DATABASE_URL": "nonsense"}, "is not a database URL"),
        ({"REGISTRY_TRACKING_URL": "ftp://h"}, "http:// or https://"),
        ({"REGISTRY_TRACKING_URL": "https://"}, "http:// or https://"),
        ({"REGISTRY_TRACKING_TIMEOUT_SECONDS": "-1"}, "number of seconds"),
        ({"REGISTRY_VERSION_NUMBERS": "again"}, "continue, restart"),
        ({"REGISTRY_SOURCE_HOSTS": "https://a"}, "without scheme"),
        ({"REGISTRY_SOURCE_HOSTS": "a,,b"}, "separated by commas"),
        ({"REGISTRY_CORS_ORIGINS": "*"}, "must name the origins"),
        ({"REGISTRY_CORS_ORIGINS": "https://a,*"}, "must name the origins"),
        ({"REGISTRY_CORS_ORIGINS": "https://*.example.com"}, "must be origins like"),
        ({"REGISTRY_CORS_ORIGINS": "https://a/"}, "without a path"),
        ({"REGISTRY_CORS_ORIGINS": "a.example.com"}, "must be origins like"),
        ({"REGISTRY_CORS_ORIGINS": "https://a,,https://b"}, "separated by commas"),
        ({"REGISTRY_CORS_ORIGINS": "null"}, "must be origins like"),
        ({"REGISTRY_CORS_ORIGINS": "http://ui.example.com"}, "must be https://"),
        ({"REGISTRY_TOKEN_DAYS": "91", "REGISTRY_TOKEN_DAYS_MAX": "90"}, "make it at most that"),
        ({"REGISTRY_TOKEN_DAYS": "-1"}, "from 0 to 36500"),
        ({"REGISTRY_FAILED_ATTEMPTS_SECONDS": "0"}, "from 1 to 86400"),
        ({"REGISTRY_TRUSTED_PROXIES": "10.1.2.3/8"}, "addresses or networks"),
        ({"REGISTRY_TRUSTED_PROXIES": "proxy.example.com"}, "addresses or networks"),
        ({"REGISTRY_TRUSTED_PROXIES": "*"}, "addresses or networks"),
        ({"REGISTRY_WORKERS": "0"}, "from 1 to 256"),
        ({"REGISTRY_LOG_LEVEL": "loud"}, "one of debug, info, warning, error"),
        ({"REGISTRY_ADMIN_TOKEN_FILE": "/does/not/exist"}, "cannot be read"),
        ({"REGISTRY_PORT_FILE": "/etc/hostname"}, "is not a setting"),
        ({"REGISTRY_DATABASE_POOLER": "session"}, "must be one of none, transaction"),
        ({"REGISTRY_DATABASE_POOLER": "transaction"}, "set REGISTRY_DATABASE_URL too"),
        ({"REGISTRY_DIRECT_DATABASE_URL": "postgresql://u@h/d"}, "set REGISTRY_DATABASE_URL too"),
        ({"REGISTRY_REPLICA_URL": "postgresql://u@h/d"}, "set REGISTRY_DATABASE_URL too"),
        ({"REGISTRY_REPLICA_URL": "postgresql://u@/d?host=a:1&host=b:2"}, "must name one server"),
        ({"REGISTRY_REPLICA_URL": "postgresql://u@/d?host=a,b"}, "must name one server"),
        ({"REGISTRY_REPLICA_MAX_LAG_SECONDS": "0"}, "from 0.5 to 3600"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_line(environ: dict[str, str], telling: str) -> None:
    with pytest.raises(ConfigError) as refused:
        from_env(environ)

    assert telling in str(refused.value)
    assert "\n" not in str(refused.value)
    assert next(iter(environ)).removesuffix("_FILE") in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_authentication_may_be_off_where_only_this_machine_gets_in(host: str) -> None:
    assert not from_env({"REGISTRY_AUTH": "off", "REGISTRY_HOST": host}).auth


def test_settings_made_in_code_are_as_safe() -> None:
    with pytest.raises(ConfigError, match="open the registry"):
        Settings(auth=False, host="0.0.0.0")


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")

    assert from_env({"REGISTRY_ADMIN_TOKEN_FILE": str(file)}).admin_token == TOKEN


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch()

    with pytest.raises(ConfigError, match="is empty"):
        from_env({"REGISTRY_ADMIN_TOKEN_FILE": str(file)})


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both set"):
        from_env({"REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_ADMIN_TOKEN_FILE": str(tmp_path / "token")})


@pytest.mark.parametrize(
    "environ",
    [
        {"REGISTRY_ADMIN_TOKEN": "hush hush, very secret"},
        {"REGISTRY_DATABASE_URL": "mysql://u:hush@h/d"},
        {"REGISTRY_DATABASE_URL": "postgresql://u:hush@h:port/d"},
    ],
)
def test_a_refusal_repeats_no_secret(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as refused:
        from_env(environ)

    assert "hush" not in str(refused.value)


def test_settings_can_be_printed_without_their_secrets() -> None:
    settings = from_env({"REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_DATABASE_URL": "postgresql://u:hush@h/d"})

    assert TOKEN not in repr(settings)
    assert "hush" not in repr(settings)


def test_variables_of_the_tests_are_left_alone() -> None:
    assert from_env({"REGISTRY_TEST_DATABASE_URL": "whatever"}) == Settings()


def test_a_service_without_a_database_says_where_one_comes_from() -> None:
    with pytest.raises(ConfigError, match="registry serve"):
        config.database_url(Settings())


def test_what_needs_a_session_of_its_own_goes_around_a_pooler() -> None:
    pooled = {"REGISTRY_DATABASE_URL": "postgresql://u@pooler/d", "REGISTRY_DATABASE_POOLER": "transaction"}
    around = config.direct(from_env(pooled | {"REGISTRY_DIRECT_DATABASE_URL": "postgresql://s@server/d"}))
    assert (around.database_url, around.database_pooler) == ("postgresql+psycopg2://s@server/d", "none")
    assert config.direct(plain := from_env({"REGISTRY_DATABASE_URL": "postgresql://u@server/d"})) == plain
    with pytest.raises(ConfigError, match="REGISTRY_DIRECT_DATABASE_URL is not set"):
        config.direct(from_env(pooled))


def test_the_readme_lists_exactly_the_settings_that_there_are() -> None:
    assert config.readme_table() in (ROOT / "README.md").read_text(), "run `make settings`"


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?host=one:5432&host=two:5432", "read-write"),
        ("?host=one,two&port=5432,5432", "read-write"),
        ("?host=one:5432&host=two:5432&target_session_attrs=any", "any"),
        ("?host=one", None),
        ("", None),
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_taken(query: str, wanted: str | None) -> None:
    settings = config.from_env({"REGISTRY_DATABASE_URL": f"postgresql://u@/d{query}"})
    assert make_url(str(settings.database_url)).query.get("target_session_attrs") == wanted

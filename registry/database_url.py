"""The URL of a database, as SQLAlchemy reads and writes it, for processes that are small because they go without it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote

FORM = re.compile(
    r"(?P<driver>[\w+]+)://"
    r"(?:(?P<username>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<address>[^/?]+)\]|(?P<name>[^/:?]+))?"
    r"(?::(?P<port>[^/?]*))?"
    r"(?:/(?P<database>[^?]*))?"
    r"(?:\?(?P<query>.*))?"
)
HOST_AND_PORT = re.compile(r"([a-zA-Z0-9.-]*):(\d*)")


@dataclass(frozen=True)
class DatabaseUrl:
    """Its parts, decoded. A parameter of `query` that stands there several times has all of its values."""

    driver: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "DatabaseUrl":
        """Read one.

        :raises ValueError: it is none; the text, which is a secret, is not repeated.
        """
        found = FORM.match(text)
        if found is None:
            raise ValueError("this is no URL of a database")
        port = found["port"]
        if port and not re.fullmatch(r"[0-9]+", port):
            raise ValueError("its port is no number")
        return cls(
            found["driver"],
            _decoded(found["username"]),
            _decoded(found["password"]),
            found["name"] or found["address"],
            int(port) if port else None,
            _decoded(found["database"]),
            _parameters(found["query"] or ""),
        )

    def text(self) -> str:
        """Write it out, the password too."""
        written = self.driver + "://"
        if self.username is not None:
            password = "" if self.password is None else f":{_encoded(self.password)}"
            written += f"{_encoded(self.username)}{password}@"
        host = self.host or ""
        written += f"[{host}]" if ":" in host else host
        written += "" if self.port is None else f":{self.port}"
        written += "" if self.database is None else "/" + quote(self.database, safe=" +/")
        pairs = [(name, value) for name in sorted(self.query) for value in _values(self.query[name])]
        return written + ("?" if pairs else "") + "&".join(f"{quote_plus(n)}={quote_plus(v)}" for n, v in pairs)

    def having(self, **parts: Any) -> "DatabaseUrl":
        """Return the same with other parts."""
        return replace(self, **parts)

    def with_parameter(self, name: str, value: str) -> "DatabaseUrl":
        """Return the same with one parameter of the query set."""
        return replace(self, query={**self.query, name: value})

    def options(self) -> dict[str, Any]:
        """Return what the driver connects by: libpq's names. `host=one:1&host=two:2` is not libpq's, but SQLAlchemy's.

        :raises ValueError: ports stand in two places.
        """
        parts = {
            "host": self.host, "dbname": self.database, "user": self.username,
            "password": self.password, "port": self.port,
        }  # fmt: skip
        given = {name: value for name, value in parts.items() if value}
        return given | {name: ",".join(_values(value)) for name, value in self.query.items()} | self._with_ports()

    def _with_ports(self) -> dict[str, str]:
        """Return hosts and ports apart where they stand together."""
        hosts = _values(self.query.get("host", ()))
        alone = len(hosts) == 1 and ("port" in self.query or not HOST_AND_PORT.fullmatch(hosts[0]))
        if not hosts or alone:
            return {}
        if "port" in self.query:
            raise ValueError("its ports stand in two places")
        pairs = [host.partition(":") for host in hosts]
        apart = {"host": ",".join(host for host, _, _ in pairs), "port": ",".join(port for _, _, port in pairs)}
        return {name: value for name, value in apart.items() if value}


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _encoded(text: str) -> str:
    return quote(text, safe=" +")


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _parameters(query: str) -> dict[str, str | tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(query):
        found[name] = (*found.get(name, ()), value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}

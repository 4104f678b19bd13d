"""The tests' database behind a network that can fail."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, make_url

from chaos.proxy import Proxy


@contextmanager
def proxied(url: str) -> Iterator[tuple[str, Proxy]]:
    """The URL of the same database by way of a proxy, and the proxy."""
    direct = make_url(url)
    proxy = Proxy(server_of(direct))
    proxy.start()
    try:
        query = {name: value for name, value in direct.query.items() if name not in {"host", "port"}}
        through = direct.set(host="127.0.0.1", port=proxy.port, query=query)
        yield through.render_as_string(hide_password=False), proxy
    finally:
        proxy.stop()


def server_of(url: URL) -> int | str:
    """Where a server listens: its port on this machine, or its socket."""
    directory = url.query.get("host")
    return f"{directory}/.s.PGSQL.{url.query['port']}" if directory else url.port or 5432

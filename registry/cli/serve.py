"""`registry serve`: everything from nothing to a listening service, in one process."""

import errno
import os
import socket
from dataclasses import replace

import click

from registry import __version__, config, embedded, schema
from registry.cli.operator import application
from registry.cli.output import say
from registry.cli.running import InWords, with_database
from registry.config import ConfigError, Settings
from registry.db import transaction
from registry.domain import tokens
from registry.domain.access import OPERATOR
from registry.sealer import place
from registry.sealer.child import beside
from registry.server import Server, address, url


@click.command(cls=InWords)
def serve() -> None:
    """Serve the registry until Ctrl-C or SIGTERM.

    Without REGISTRY_DATABASE_URL it starts a PostgreSQL of its own in REGISTRY_DATA_DIR and keeps its schema up to
    date; with it, the schema has to be there: `registry db upgrade`.
    """
    settings = config.from_env(os.environ)
    refuse_taken_port(settings)
    own = settings.database_url is None
    if own:
        say(f"Starting the embedded PostgreSQL in {settings.data_dir.absolute()} ...")
    with with_database(settings) as running:
        if own:
            schema.upgrade(
                as_role(running, embedded.SUPERUSER), say=lambda step: say(f"  upgrading its schema: {step}")
            )
        with application(running) as app:
            secret = first_token(running)
        show_new_key(running)
        sealing = replace(running, database_url=as_role(running, embedded.SEALER)) if own else running
        with beside(sealing) as keep_sealing:
            Server(app, running, ready=lambda: introduce(running, secret), beside=keep_sealing).run()


def as_role(running: Settings, role: str) -> str:
    """Return the URL of the embedded database that runs, for another role than the service's."""
    return embedded.as_role(config.database_url(running), role)


def refuse_taken_port(settings: Settings) -> None:
    """Find out before any work whether we could listen.

    :raises ConfigError: we could not.
    """
    host, port = settings.host, settings.port
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"REGISTRY_HOST={host} is not a name or address that this machine knows.") from None
    except OSError as error:
        raise ConfigError(_why_not_listen(settings, error)) from None


def _why_not_listen(settings: Settings, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        to_do = "stop the program that listens there, or set REGISTRY_PORT to another port"
        return f"Port {settings.port} on {settings.host} is in use: {to_do}."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"REGISTRY_HOST={settings.host} is not an address of this machine."
    return f"Cannot listen on {address(settings)} ({error.strerror}): set REGISTRY_HOST and REGISTRY_PORT otherwise."


def first_token(settings: Settings) -> str | None:
    """See that there is an administrator; return a token that was made for that now. Without auth nobody needs one."""
    if not settings.auth and settings.admin_token is None:
        return None
    with transaction(OPERATOR) as session:
        return tokens.ensure_administrator(session, OPERATOR, settings.admin_token)


def show_new_key(settings: Settings) -> None:
    """Make the key of the audit log, if we seal it and there is none, and tell its public half this once.

    :raises SealerError: the directory for it cannot be used.
    """
    if settings.sealer and place.public_key(place.directory(settings)) is None:
        from registry.sealer.process import ready  # noqa: PLC0415 (cryptography; the service itself signs nothing)

        with ready(settings, say, wait=lambda: False):
            pass


def introduce(settings: Settings, secret: str | None) -> None:
    """Tell where the service is and how to use it."""
    where = url(settings)
    say(f"Model registry {__version__} listens on {where}")
    say(f"  {settings.workers} workers with {settings.threads} threads; Ctrl-C stops it")
    if secret:
        say("\n  The administrator's token. Keep it: it is shown this once.\n")
        say(f"      {secret}\n")
    if not settings.auth:
        say("  REGISTRY_AUTH=off: everyone on this machine may do everything")
    say("  To use it from MLflow:")
    say(f"      export MLFLOW_REGISTRY_URI={where}")
    if settings.auth:
        say(f"      export MLFLOW_TRACKING_TOKEN={secret or '<a token, from: registry token create --name NAME>'}")

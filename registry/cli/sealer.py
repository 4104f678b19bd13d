"""`registry sealer`: sealing the audit log, where `registry serve` does not do it, and deciding after a restore."""

import os
import signal
import time
from types import FrameType
from uuid import uuid4

import click

from registry import config, embedded
from registry.cli.output import say
from registry.cli.running import GroupInWords, require_schema, with_database
from registry.config import Settings
from registry.sealer import process
from registry.sealer.process import connected, ready
from registry.sealer.sealing import Sealer
from registry.sealer.store import Store
from registry.vocabulary import OPERATOR

SECONDS_TO_WAIT = 15
"""For a sealer that is just refusing to be out of the way."""


@click.group("sealer", cls=GroupInWords, invoke_without_command=True)
@click.option("--once", is_flag=True, help="Seal what is there now, and end.")
@click.option("--parent", type=int, hidden=True, help="End when this process, which started us, is gone.")
@click.pass_context
def sealer(context: click.Context, once: bool, parent: int | None) -> None:
    """Seal the audit log until Ctrl-C or SIGTERM. `registry serve` starts one, unless REGISTRY_SEALER=off.

    It gives each event its position, and signs a checkpoint of the whole log, with a key in REGISTRY_SEALER_DIR. Where
    the database does not hold what was signed, it says so and ends with exit code 1.
    """
    if context.invoked_subcommand is None:
        told = Told(parent)
        with with_database(config.from_env(os.environ), embedded.SEALER, direct=True) as settings, told:
            require_schema(settings)
            process.run(settings, say=say, stopping=told.to_stop, once=once)


@sealer.command("new-epoch")
@click.option("--reason", required=True, help="Why the database holds less or something else than was signed.")
def new_epoch(reason: str) -> None:
    """Go on sealing a database that was restored, under a new origin, which begins with an event that says so."""
    if not reason.strip():
        raise click.BadParameter("say why: it goes into the audit log", param_hint="--reason")
    with with_database(config.from_env(os.environ), embedded.SEALER, direct=True) as settings:
        require_schema(settings)
        told = {"actor": OPERATOR, "credential": "", "request_id": str(uuid4()), "reason": reason.strip()}
        say(f"The log goes on as {begin_epoch(settings, told)}.")


def begin_epoch(settings: Settings, told: dict[str, str]) -> str:
    """Begin a new epoch and return its origin."""
    deadline = time.monotonic() + SECONDS_TO_WAIT

    def wait() -> bool:
        return time.monotonic() < deadline

    with ready(settings, say, wait=wait) as (store, signer), connected(settings, wait=wait) as connection:
        return Sealer(connection, store, signer).new_epoch(told).epoch_origin


@sealer.command()
def key() -> None:
    """Print the public key of the audit log, for registry-audit verify --key; make the key if there is none."""
    settings = config.from_env(os.environ)
    store = Store.of(settings)
    if store.public_key() is None:
        with ready(settings, lambda _: None, wait=lambda: False):
            pass
    click.echo(store.public_key())


class Told:
    """Whether we were told to stop: by a signal, or by the end of the process that started us."""

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._signalled = False

    def to_stop(self) -> bool:
        """Say so."""
        return self._signalled or (self._parent is not None and os.getppid() != self._parent)

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._signalled = True

"""A process that seals: waits for its turn, seals at intervals, passes over a database that is away for a while."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg2 import Error, IntegrityError

from registry import limits, postgres
from registry.config import Settings, database_url
from registry.ledger.note import Signer
from registry.postgres import Connection
from registry.sealer.errors import SealerError
from registry.sealer.sealing import Sealer
from registry.sealer.seals import Seals
from registry.sealer.store import SECONDS_BETWEEN_LOOKS, Store

Say = Callable[[str], object]
Wait = Callable[[], bool]
"""Whether to wait any longer: for a lock, or for the next turn."""


class Busy(SealerError):
    """Another process seals this log."""

    def __init__(self) -> None:
        super().__init__("Another sealer is at work on this log: stop it first.")


def run(settings: Settings, *, say: Say, stopping: Callable[[], bool] = lambda: False, once: bool = False) -> None:
    """Seal until `stopping()`, or `once` what is there now; wait as long as another one seals.

    :raises SealerError: it cannot, or must not; one line that says what to do.
    """

    def wait() -> bool:
        return not once and not stopping()

    try:
        with ready(settings, say, wait=wait) as (store, signer):
            while not _worked(settings, store, signer, say, wait) and wait():
                _pause(settings, wait)
    except Busy:
        if not stopping():
            raise


def _worked(settings: Settings, store: Store, signer: Signer, say: Say, wait: Wait) -> bool:
    """Seal until told to stop; return false where the database went away instead.

    :raises SealerError: it cannot, or must not.
    """
    try:
        with connected(settings, wait=wait) as connection:
            _work(Sealer(connection, store, signer), settings, say, wait)
    except Error as error:
        reason = postgres.first_line(error)
        passes = isinstance(error, IntegrityError) or postgres.is_passing(error)
        if not passes or not wait():
            raise SealerError(f"The database does not let the sealer work: {reason}") from error
        say(f"The database is not there for the sealer ({reason}); it tries again.")
        return False
    return True


@contextmanager
def ready(settings: Settings, say: Say, *, wait: Wait) -> Iterator[tuple[Store, Signer]]:
    """Have the sealer's directory alone, with a key in it.

    :raises SealerError: it cannot be used, or another process uses it and we do not wait.
    """
    store = Store.of(settings)
    with store.alone(wait=wait) as ours:
        if not ours:
            raise Busy
        signer, made = store.open_key()
        if made:
            say(f"The public key of the audit log, for registry-audit verify --key:\n\n      {signer.verifier}\n")
        yield store, signer


@contextmanager
def connected(settings: Settings, *, wait: Wait) -> Iterator[Connection]:
    """Connect, and be the only one that seals this database.

    :raises Busy: another one does, and we do not wait.
    """
    options = limits.options(settings) | {"application_name": "model-registry-sealer"}
    options["options"] += (
        " -c synchronous_commit=on"  # what is signed must not be lost, nor what was committed before it
    )
    with postgres.connected(database_url(settings), **options) as connection:
        while not _has_lock(connection):
            if not wait():
                raise Busy
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield connection


def _has_lock(connection: Connection) -> bool:
    with postgres.transaction(connection):
        return Seals(connection).lock()


def _work(sealer: Sealer, settings: Settings, say: Say, wait: Wait) -> None:
    sealed = sealer.seal()
    state = sealer.state
    say(f"Sealing the audit log as {state.epoch_origin}: {state.tree.size} events are sealed, {sealed} of them now.")
    while wait():
        _pause(settings, wait)
        sealer.seal()


def _pause(settings: Settings, wait: Wait) -> None:
    """Let the interval pass, in steps short enough to stop in."""
    until = time.monotonic() + settings.sealer_interval_ms / 1000
    while wait() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SECONDS_BETWEEN_LOOKS))

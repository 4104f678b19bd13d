"""The database connection, and the only place that commits.

`transaction()` tells the database who acts, why, and under which request; the database writes the audit log from
that, and refuses a write that comes without.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from select import POLLIN, poll
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from flask import Flask, current_app, g, has_app_context
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from psycopg2 import Error as DriverError
from sqlalchemy import Connection, Engine, Select, Text, cast, event, func, select
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from registry import limits, outcome, postgres, settled, silence, telling
from registry.config import Settings
from registry.errors import Conflict, RegistryError, Unavailable, Uncertain
from registry.facts import Fact
from registry.settled import Row, Settled


class ReadingSession(FlaskSession):
    """A session that reads outside of transactions: a question is one round trip, and sees what is committed by then.

    Changes have a transaction around them, and so do the questions in it.
    """

    def get_bind(self, *args: Any, **options: Any) -> Engine | Connection:
        """The engine for the next statement, or the connection that the transaction has."""
        if not self.info.get(CHANGES):
            return at_once(super().get_bind(*args, **options))
        joined: Connection | None = self.info.get(JOINED)
        if joined is None:
            joined = self.info[JOINED] = Connection(db.engine, leased(self))
        return joined


db = SQLAlchemy(session_options={"class_": ReadingSession})

Answer = TypeVar("Answer")
How = Callable[[Any, Settled, Mapping[str, Any]], Answer]
"""What is done with a settled statement on a connection of the driver."""

AT_ONCE: WeakKeyDictionary[Engine, Engine] = WeakKeyDictionary()

# What a session knows of the transaction that stands open in it.
HEADS = "heads"  # heads of streams that were read: see domain/heads.py
CHANGES = "changes"  # it is not only read
LEASE = "lease"  # the connection of the pool that the transaction has
JOINED = "joined"  # the same for SQLAlchemy, once a statement has come by it
ASKING = "asking"  # how a session asks that has more than one server to ask
TOLD = "told"  # what the database was told last: actor, credential, request id, reason
BROKEN = "broken"  # a block inside it has failed
WROTE = "wrote"  # something was written since its receipts were asked for
TRACE = "trace"  # by what it is known again in the log, if its COMMIT gets no answer
AUDITED = "audited"
"""An option of a statement; false where it writes to a table that has no place in the log."""
FACTS = "facts"  # what will have happened if it is committed

RECEIPTS = Settled(
    select(
        func.current_setting("app.receipts", True),
        cast(func.pg_current_xact_id_if_assigned(), Text),
        func.pg_backend_pid(),
    )
)


class Actor(Protocol):
    """Whoever a change is written down to."""

    @property
    def id(self) -> str:
        """A stable, pseudonymous identity, such as `principal:17`."""

    @property
    def credential(self) -> str:
        """What it proved its identity with, such as `token:9`; empty if nothing."""


def init(app: Flask, settings: Settings, url: str, pool: type[QueuePool] = QueuePool) -> None:
    """Connect the application to the PostgreSQL at `url`."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings) | {"poolclass": pool}
    app.extensions.setdefault("watchers", [])
    db.init_app(app)
    with app.app_context():
        looked_after(db.engine)
    app.teardown_appcontext(leave)  # those that were named last come first: before the session is removed


def engine_options(settings: Settings) -> dict[str, Any]:
    """How connections are pooled, and after how long the server or the network is given up on."""
    return {
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.connect_timeout_seconds,
        "hide_parameters": True,  # traces of faults stand in logs, and values are what users sent us
        "connect_args": limits.options(settings),
    }


def looked_after(engine: Engine) -> Engine:
    """The same engine, which hands out no connection that has ended, and none that begins no transactions."""
    event.listen(engine, "checkout", refuse_ended)
    event.listen(engine, "checkin", begin_again)
    return engine


def refuse_ended(connection: Any, _: ConnectionPoolEntry, __: PoolProxiedConnection) -> None:
    """Hand no connection out that has ended while it waited: the pool then opens another one in its place.

    A server that ends connections tells them so, and so does the network; to a connection at rest nobody says anything
    else. So a look whether there is something to read takes the place of a question to the server before each use.

    :raises DisconnectionError: it has ended.
    """
    if has_news(connection):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            connection.rollback()
        except DriverError as error:
            raise DisconnectionError from error


def has_news(connection: Any) -> bool:
    """Whether the server, or the network, has said something to a connection that has asked nothing."""
    try:
        look = poll()
        look.register(connection.fileno(), POLLIN)  # what went wrong is told unasked
        return bool(look.poll(0))
    except (DriverError, OSError, ValueError):
        return True


def at_once(engine: Engine | Connection) -> Engine | Connection:
    """The same engine, with the same pool, for statements that are committed one by one."""
    if not isinstance(engine, Engine):
        return engine
    found = AT_ONCE.get(engine)
    if found is None:
        found = engine.execution_options()
        event.listen(found, "engine_connect", begin_nothing)
        AT_ONCE[engine] = found
    return found


def begin_nothing(connection: Connection) -> None:
    """Have the driver send statements as they are. To set SQLAlchemy's isolation level takes a round trip."""
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True


def begin_again(connection: Any, _: ConnectionPoolEntry) -> None:
    """Have the driver begin transactions again, once a connection is given back."""
    if connection is not None and not connection.closed:
        connection.autocommit = False


def ask(session: Session, question: Settled, **values: object) -> list[Row]:
    """Ask a settled question: in the transaction that stands open, or else outside any, in one round trip.

    A session that has a connection asks by that, so that no request holds two at once.

    :raises DBAPIError: the database cannot answer.
    :raises TimeoutError: no connection became free in time.
    """
    asking = session.info.get(ASKING)
    if asking is None:
        return put(session, question, values)
    rows: list[Row] = asking(put, session, question, values)
    return rows


def put(session: Session, question: Settled, values: Mapping[str, Any]) -> list[Row]:
    """Ask a settled question of whoever the session asks at the moment."""
    if session.info.get(CHANGES) or session.in_transaction():
        return settled_in(session, settled.ask, question, values)
    return ask_at_once(session.get_bind(), question, values)


def found(session: Session, question: Select[Any]) -> Sequence[Sequence[Any]]:
    """Ask a question that is built anew each time, where `ask` would; rows come as they are, and `Shape` reads them.

    :raises DBAPIError: the database cannot answer.
    :raises TimeoutError: no connection became free in time.
    """
    asking = session.info.get(ASKING)
    if asking is None:
        return fetched(session, question)
    rows: Sequence[Sequence[Any]] = asking(fetched, session, question)
    return rows


def fetched(session: Session, question: Select[Any]) -> Sequence[Sequence[Any]]:
    """Ask whoever the session asks at the moment, without what SQLAlchemy's session does around each question."""
    engine = session.get_bind()
    if isinstance(engine, Connection) or session.in_transaction():
        session.flush()
        return session.connection().execute(question).all()
    with engine.connect() as connection:
        return connection.execute(question).all()


def say(session: Session, question: Settled, **values: object) -> None:
    """Have a settled change made along with the next statement of the transaction, or before its COMMIT.

    What the database has against it, it says then.

    :raises RuntimeError: there is no transaction.
    """
    if not session.info.get(CHANGES):
        raise RuntimeError("A change needs a transaction around it.")
    settled_in(session, settled.say, question, values)
    session.info[WROTE] = True


def settled_in(session: Session, how: How[Answer], question: Settled, values: Mapping[str, Any]) -> Answer:
    """Put a settled statement to the connection that the transaction of a session has, behind all that it changes."""
    session.flush()
    try:
        return how(driver_of(session), question, values)
    except DriverError as error:
        raise dressed(question.text, error) from error


def driver_of(session: Session) -> Any:
    """The connection of the driver by which a session asks, with its savepoint set."""
    if session.info.get(CHANGES) and not session.in_nested_transaction():
        return leased(session).dbapi_connection
    return session.connection().connection.dbapi_connection


def leased(session: Session) -> PoolProxiedConnection:
    """The connection that a transaction has, from the first time that it needs one; by that it begins.

    SQLAlchemy's session takes as long to end a transaction as a change takes to be made. So it takes part only where a
    statement comes by it.
    """
    lease: PoolProxiedConnection | None = session.info.get(LEASE)
    if lease is None:
        lease = session.info[LEASE] = beside(db.engine)
        driver: Any = lease.dbapi_connection
        driver.begin()
    return lease


def ask_at_once(engine: Any, question: Settled, values: Mapping[str, Any]) -> list[Row]:
    """Ask the database one question in one round trip, outside any transaction and beside all sessions.

    :raises DBAPIError: it cannot answer; the connection is not used again.
    :raises TimeoutError: no connection became free in time.
    """
    with closing(beside(engine)) as connection:
        driver: Any = connection.dbapi_connection
        try:
            driver.autocommit = True
            return settled.ask(driver, question, values)
        except DriverError as error:
            connection.invalidate()
            raise dressed(question.text, error) from error
        except BaseException:
            connection.invalidate()
            raise


def beside(engine: Engine) -> PoolProxiedConnection:
    """A connection of the pool, beside all sessions.

    :raises DBAPIError: none can be opened.
    :raises TimeoutError: none became free in time.
    """
    try:
        return engine.raw_connection()
    except DriverError as error:
        raise dressed("", error) from error


def dressed(question: str, error: DriverError) -> BaseException:
    """A fault of the driver as SQLAlchemy has it, and so as all others know it."""
    return DBAPIError.instance(question, {}, error, DriverError, hide_parameters=True)


def settings_of(session: Session) -> Settings:
    """The settings of the service that this session belongs to."""
    settings: Settings = session.info["settings"]
    return settings


@contextmanager
def transaction(
    actor: Actor, *, reason: str | None = None, request_id: str | None = None, dry_run: bool = False
) -> Iterator[Session]:
    """Do one change as `actor`: commit on leaving the block, roll back on any exception.

    A transaction inside another one of the same application context joins it: the outermost commits or rolls back,
    and only what is done inside the inner block bears the inner actor and reason. With `dry_run` everything is done,
    checks of the database included, and then undone; what was built inside the block is the answer that would be.

    :raises Unavailable: the database cannot do it now; nothing was changed.
    """
    session = db.session()
    told = {
        "actor": actor.id,
        "credential": actor.credential,
        "request_id": request_id or current_request_id(),
        "reason": reason or "",
    }
    kind = joined if TOLD in session.info else begun
    with kind(session, told, dry_run=dry_run):
        yield session


@contextmanager
def begun(session: Session, told: dict[str, str], *, dry_run: bool) -> Iterator[None]:
    """The outermost block: it begins and ends the transaction."""
    session.info.pop(WROTE, None)
    session.info.pop(TRACE, None)
    facts: list[Fact] = []
    session.info[FACTS] = facts
    try:
        with unaudited(dry_run=dry_run):
            session.info["settings"] = current_app.config["REGISTRY"]
            tell(session, told)
            yield
            if session.info.get(BROKEN):
                raise RuntimeError("A transaction went on after one inside it had failed; nothing is kept of either.")
    finally:
        session.info.pop(TOLD, None)
        session.info.pop(BROKEN, None)
        session.info.pop(TRACE, None)
        session.info.pop(FACTS, None)
    if not dry_run:
        announce(facts)


@contextmanager
def joined(session: Session, told: dict[str, str], *, dry_run: bool) -> Iterator[None]:
    """A block inside another one: it leaves the transaction to it, and the database as it was told before."""
    outer, wrote, known = session.info[TOLD], session.info.get(WROTE, False), len(session.info[FACTS])
    try:
        savepoint = session.begin_nested() if dry_run else None
        tell(session, told)
        yield
        session.flush()
        if savepoint is not None:
            savepoint.rollback()  # what the database was told goes back along with the changes
            session.info.update({TOLD: outer, WROTE: wrote})
            del session.info[FACTS][known:]
        tell(session, outer)
    except BaseException:
        session.info[BROKEN] = True
        raise


def note(session: Session, fact: Fact) -> None:
    """Have those who watch the service told of a fact once this transaction is committed, and not at all otherwise."""
    session.info[FACTS].append(fact)


def announce(facts: list[Fact]) -> None:
    """Tell those who watch the service (`app.extensions["watchers"]`) what has happened."""
    for watcher in current_app.extensions["watchers"] if facts else ():
        watcher(facts)


def tell(session: Session, told: dict[str, str]) -> None:
    """Say to the database who acts, why, and under which request, from here to the end of the transaction."""
    if session.info.get(TOLD) == told:
        return
    session.flush()  # the log takes actor and reason when a row is written: what is pending belongs to those before
    telling.tell(driver_of(session), told)
    session.info[TOLD] = told


def receipts(session: Session) -> dict[str, str]:
    """What the transaction has written to the log so far: of each stream the last event, as `seq/hash`.

    Nothing is asked where nothing was written since the last time, and nothing returned then. The database keeps the
    list with the transaction, so that what was undone in it, by a savepoint for instance, is not among them.
    """
    session.flush()
    if not session.info.pop(WROTE, False):
        return {}
    [(found, xid, pid)] = ask(session, RECEIPTS)
    written: dict[str, str] = json.loads(found or "{}")
    if written:
        session.info[TRACE] = outcome.trace_of(written, xid, pid)
    return written


def send(session: Session) -> None:
    """Have all done that was to go along with the next statement: to see what the database has against it."""
    lease = session.info.get(LEASE)
    if lease is not None:
        end(lambda: telling.send(lease.dbapi_connection))


def take_time(session: Session, milliseconds: int) -> None:
    """Let the statements of this transaction take longer than those of a request may."""
    session.execute(select(func.set_config("statement_timeout", str(milliseconds), True)))
    silence.wait_longer(driver_of(session), milliseconds / 1000)


@event.listens_for(db.session, "after_flush")
def note_flush(session: Session, _: object) -> None:
    """Remember that changed objects were written."""
    session.info[WROTE] = True


@event.listens_for(db.session, "do_orm_execute")
def note_statement(state: ORMExecuteState) -> None:
    """Remember that a statement is no mere question."""
    if not state.is_select and state.execution_options.get(AUDITED, True):
        state.session.info[WROTE] = True


@contextmanager
def unaudited(*, dry_run: bool = False) -> Iterator[Session]:
    """Write what is no change of the registry's state; the database refuses anything else that comes this way.

    :raises Unavailable: the database cannot do it now; nothing was changed.
    """
    session = db.session()
    if TOLD in session.info:
        raise RuntimeError("This would end the transaction that it stands in.")
    try:
        session.rollback()  # ends a read that came before: what follows begins its own transaction
        session.info[CHANGES] = True
        yield session
        finish(session, dry_run=dry_run)
    except (DBAPIError, PoolTimeoutError) as error:
        abandon(session)
        refusal = translate(error)
        if refusal is None:
            raise
        raise refusal from error
    except BaseException:
        abandon(session)
        raise
    finally:
        session.info.pop(CHANGES, None)
        session.info.pop(JOINED, None)
        session.info.pop(HEADS, None)  # of before the change
        lease = session.info.pop(LEASE, None)
        if lease is not None:
            lease.close()


def finish(session: Session, *, dry_run: bool) -> None:
    """Keep what was done, or only see whether it could be kept."""
    if dry_run:
        session.flush()
        send(session)
        roll_back(session)
    else:
        commit(session)


def commit(session: Session) -> None:
    """Commit. Where the answer to that is lost, find out whether it was done: the caller is told what is true.

    :raises Uncertain: nobody can say.
    """
    trace: outcome.Trace | None = session.info.get(TRACE)
    wrote = trace is not None or session.info.get(WROTE, False)
    try:
        commit_it(session)
    except DBAPIError as error:
        if not wrote or not is_lost(error):
            raise
        abandon(session)
        made = trace and outcome.is_made(db.engine, trace, settings_of(session).connect_timeout_seconds)
        if made is None:
            raise Uncertain from error
        if not made:
            raise


def commit_it(session: Session) -> None:
    """Commit, by way of SQLAlchemy where it takes part.

    :raises DBAPIError: the database does not do it, or does not say whether it has.
    """
    if session.in_transaction():
        session.commit()
    lease = session.info.get(LEASE)
    if lease is not None:  # a session can be in a transaction that no statement has come by
        end(lease.dbapi_connection.commit)


def roll_back(session: Session) -> None:
    """Roll back, by way of SQLAlchemy where it takes part.

    :raises DBAPIError: the connection cannot even do that.
    """
    session.rollback()
    lease = session.info.get(LEASE)
    if lease is not None and lease.is_valid:
        end(lease.dbapi_connection.rollback)


def end(how: Callable[[], None]) -> None:
    """End a transaction; a fault of the driver is one as all others know it."""
    try:
        how()
    except DriverError as error:
        raise dressed("", error) from error


def abandon(session: Session) -> None:
    """Roll back; a connection that cannot even do that is thrown away."""
    try:
        roll_back(session)
    except DBAPIError:
        session.invalidate()
        lease = session.info.get(LEASE)
        if lease is not None and lease.is_valid:
            lease.invalidate()


def leave(_: BaseException | None = None) -> None:
    """End what a request has read; a connection that breaks only now takes nothing from an answer that is there."""
    if db.session.registry.has():
        session = db.session()
        session.expunge_all()  # what was read stays readable: an export goes on after its session
        abandon(session)


def current_request_id() -> str:
    """The id of the request being served, or a new one outside a request."""
    known: str | None = g.get("request_id") if has_app_context() else None
    return known or str(uuid.uuid4())


def translate(error: Exception) -> RegistryError | None:
    """What a fault of the database means to a caller, or None where the fault is ours."""
    if isinstance(error, PoolTimeoutError):
        return Unavailable("The service is busy: no database connection became free in time. Try again.")
    if not isinstance(error, DBAPIError):
        return None
    code = postgres.code_of(error.orig)
    if isinstance(error, IntegrityError):
        return Conflict("The change contradicts another one made at the same moment. Read the state and try again.")
    if code == postgres.LOCK_NOT_AVAILABLE or code.startswith("57014"):
        return Unavailable("The database took too long, for instance because of another change. Try again.")
    if is_lost(error) or postgres.is_passing(error.orig):
        return Unavailable("The database is not reachable at the moment. Try again.")
    return None


def is_lost(error: DBAPIError) -> bool:
    """Whether it is the connection that failed, before any answer, which carries no code then, or by one."""
    return bool(error.connection_invalidated) or postgres.is_lost(error.orig)

"""What keeps the audit log from being changed, read from the catalogue: no more is claimed than stands there.

`enforced`: the service owns nothing, and a superuser's guard stands before everybody else. `trigger-only`: the triggers
are all as released, but who the service connects as could take them away. `broken`: something is missing, switched off,
added or not as released, so that changes may go unrecorded, or the log may have been opened. In all three, what was
sealed is proven by checkpoints kept elsewhere, and by nothing in here.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from psycopg2 import Error

from registry import postgres, silence
from registry.ownership import AUDIT_OWNER, EVENT_TRIGGERS
from registry.postgres import Connection
from registry.released import FUNCTIONS, TRIGGERS

SCHEMAS = ("registry", "audit", "audit_guard")
CONNECT_TIMEOUT_SECONDS = 5
SECONDS_BETWEEN_LOOKS = 60


class Level(StrEnum):
    """How the log is kept."""

    ENFORCED = "enforced"
    """Whoever the service is cannot change it."""
    TRIGGER_ONLY = "trigger-only"
    """Triggers refuse; their owner could remove them."""
    BROKEN = "broken"
    """The triggers themselves are not as they should be."""


@dataclass(frozen=True, slots=True)
class Weakness:
    """One thing that is not as it could be, and what to do about it."""

    level: Level
    what: str
    to_do: str


@dataclass(frozen=True, slots=True)
class Posture:
    """The level, which is the worst of the weaknesses."""

    weaknesses: tuple[Weakness, ...]

    @property
    def level(self) -> Level:
        """Say it in a word."""
        worst = (Level.BROKEN, Level.TRIGGER_ONLY)
        found = {weakness.level for weakness in self.weaknesses}
        return next((level for level in worst if level in found), Level.ENFORCED)

    @property
    def why(self) -> list[str]:
        """Say what keeps it from being enforced."""
        return [weakness.what for weakness in self.weaknesses]


UPGRADE = "run `registry db upgrade` as a superuser"
REPAIR = "find out who did this and since when, restore it as released, and run `registry audit verify --db`"

FOUND_TRIGGERS = (
    "SELECT n.nspname || '.' || c.relname || ' ' || t.tgname AS name, concat_ws(' ', tgfoid::regprocedure, tgtype, "
    "tgenabled, encode(tgargs, 'hex'), CASE WHEN tgqual IS NOT NULL THEN pg_get_triggerdef(t.oid) END, "
    "nullif(tgattr::text, '')) AS made "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE NOT tgisinternal AND n.nspname IN %(schemas)s"
)
FOUND_FUNCTIONS = (
    "SELECT p.oid::regprocedure::text AS name, concat_ws('|', l.lanname, prosecdef, provolatile, proconfig::text, "
    "prosrc) AS made FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
    "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN %(schemas)s"
)
PINNED = "SET LOCAL search_path = pg_catalog, pg_temp"

ADDED = (
    "SELECT format('a rule on %%s: %%s', ev_class::regclass, rulename) FROM pg_rewrite r JOIN pg_class c "
    "ON c.oid = ev_class WHERE relnamespace::regnamespace::text IN %(schemas)s AND c.relkind <> 'v' "
    "UNION ALL SELECT format('a policy on %%s: %%s', polrelid::regclass, polname) FROM pg_policy JOIN pg_class c "
    "ON c.oid = polrelid WHERE relnamespace::regnamespace::text IN %(schemas)s "
    "UNION ALL SELECT format('row security on %%s', oid::regclass) FROM pg_class "
    "WHERE relrowsecurity AND relnamespace::regnamespace::text IN %(schemas)s "
    "UNION ALL SELECT format('%%s, which inherits from %%s', inhrelid::regclass, inhparent::regclass) FROM pg_inherits "
    "JOIN pg_class c ON c.oid = inhparent WHERE relkind IN ('r', 'p') "
    "AND relnamespace::regnamespace::text IN %(schemas)s"
)

WHO = (
    "SELECT session_user::text AS name, bool_or(rolsuper) AS superuser, bool_or(rolcreaterole) AS creator "
    "FROM pg_roles WHERE rolname IN (session_user, current_user)"
)
OWNED = (
    "SELECT DISTINCT name FROM (SELECT 'the schema ' || nspname AS name, nspowner AS owner FROM pg_namespace "
    "WHERE nspname IN %(schemas)s UNION ALL SELECT 'tables of ' || relnamespace::regnamespace, relowner FROM pg_class "
    "WHERE relnamespace::regnamespace::text IN %(schemas)s UNION ALL "
    "SELECT 'functions of ' || pronamespace::regnamespace, proowner FROM pg_proc "
    "WHERE pronamespace::regnamespace::text IN %(schemas)s "
    "UNION ALL SELECT 'the database', datdba FROM pg_database WHERE datname = current_database()) o "
    "WHERE pg_has_role(session_user, owner, 'MEMBER') ORDER BY 1"
)
RIGHTS = (
    "SELECT what || ' ' || c.oid::regclass FROM pg_class c, "
    "unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) what "
    "WHERE relnamespace = to_regnamespace('audit') AND relkind IN ('r', 'p') "
    "AND has_table_privilege(session_user, c.oid, what) "
    "UNION ALL SELECT 'EXECUTE ' || oid::regprocedure FROM pg_proc WHERE pronamespace = to_regnamespace('audit') "
    "AND proname IN ('append', 'capture', 'open_stream', 'restore') "
    "AND has_function_privilege(session_user, oid, 'EXECUTE') "
    "UNION ALL SELECT rolname FROM pg_roles WHERE rolname IN ('pg_execute_server_program', 'pg_write_server_files', "
    "'pg_write_all_data') AND pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1"
)
OPENED = (
    "SELECT format('%%s on %%s for PUBLIC', a.privilege_type, p.oid::regprocedure) FROM pg_proc p, "
    "aclexplode(coalesce(proacl, acldefault('f', proowner))) a "
    "WHERE pronamespace = to_regnamespace('audit') AND a.grantee = 0 ORDER BY 1"
)
OWNED_BY_ANOTHER = "SELECT nspowner::regrole::text <> %(owner)s FROM pg_namespace WHERE nspname = 'audit'"
AUDIT_OWNERS = (
    "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member "
    "WHERE a.roleid = to_regrole(%(owner)s) AND NOT m.rolsuper ORDER BY 1"
)
GUARDS = (
    "SELECT e.evtname, e.evtevent, e.evtfoid::regproc::text AS function, e.evtenabled, r.rolsuper "
    "FROM pg_event_trigger e JOIN pg_roles r ON r.oid = e.evtowner WHERE e.evtname IN %(names)s"
)
EVENT_TRIGGERS_ARE_OFF = "SELECT current_setting('event_triggers', true) = 'off'"


def at(url: str, *, connect_timeout: int = CONNECT_TIMEOUT_SECONDS) -> Posture:
    """Return the posture of a database, seen by the user of this URL: the one that the service connects as."""
    patience = silence.connect_args(connect_timeout * 2)
    try:
        with postgres.connected(url, connect_timeout=connect_timeout, **patience) as connection:
            return of(connection)
    except Error as error:
        why = f"the database cannot be looked at ({postgres.first_line(error)})"
        return Posture((Weakness(Level.BROKEN, why, "see to the database"),))


@functools.lru_cache(maxsize=8)
def _looked_at(url: str, _period: int) -> Posture:
    return at(url)


def lately(url: str) -> Posture:
    """Return the posture as it was at most a minute ago: cheap enough to be asked for at any rate."""
    return _looked_at(url, int(time.monotonic() // SECONDS_BETWEEN_LOOKS))


def of(connection: Connection) -> Posture:
    """Return the posture of a database, seen by whom the connection belongs to; its transaction is ended."""
    with postgres.transaction(connection):
        postgres.execute(connection, PINNED)
        found = [weakness for look in LOOKS for weakness in look(connection)]
    return Posture(tuple(found))


def triggers(connection: Connection) -> dict[str, str]:
    """Return what triggers there are, by table and name, each with all that makes it what it is."""
    return dict(postgres.rows(connection, FOUND_TRIGGERS, schemas=SCHEMAS))


def functions(connection: Connection) -> dict[str, str]:
    """Return what functions there are, each with a digest of all that makes it what it is."""
    found = postgres.rows(connection, FOUND_FUNCTIONS, schemas=SCHEMAS)
    return {name: hashlib.sha256(made.encode()).hexdigest() for name, made in found}


def _changed(connection: Connection) -> Iterator[Weakness]:
    """Whatever is not as released."""
    guarded = bool(postgres.value(connection, "SELECT to_regnamespace('audit_guard') IS NOT NULL"))
    wanted = {name: made for name, made in FUNCTIONS.items() if guarded or not name.startswith("audit_guard.")}
    yield from _differences("trigger", triggers(connection), TRIGGERS)
    yield from _differences("function", functions(connection), wanted)
    for what in postgres.column(connection, ADDED, schemas=SCHEMAS):
        yield Weakness(Level.BROKEN, f"there is {what}", REPAIR)


def _differences(kind: str, found: dict[str, str], wanted: dict[str, str]) -> Iterator[Weakness]:
    for name in sorted(found.keys() | wanted.keys()):
        if name not in found:
            yield Weakness(Level.BROKEN, f"the {kind} {name} is missing", REPAIR)
        elif name not in wanted:
            yield Weakness(Level.BROKEN, f"there is a {kind} {name} that is none of the registry's", REPAIR)
        elif found[name] != wanted[name]:
            yield Weakness(Level.BROKEN, f"the {kind} {name} is not as released, or switched off", REPAIR)


def _opened(connection: Connection) -> Iterator[Weakness]:
    """What everybody may do."""
    for what in postgres.column(connection, OPENED):
        yield Weakness(Level.BROKEN, f"there is a right {what}", "revoke it, and find out who granted it")


def _powers(connection: Connection) -> Iterator[Weakness]:
    """What the service's own user could do."""
    [(name, superuser, creator)] = postgres.rows(connection, WHO)
    other = "have the service connect as registry_app, or as a login that is a member of it and of nothing else"
    if superuser:
        yield Weakness(Level.TRIGGER_ONLY, f"the service connects as {name}, a superuser", other)
        return
    if creator:
        yield Weakness(Level.TRIGGER_ONLY, f"{name} may give itself other roles (CREATEROLE)", other)
    owned = postgres.column(connection, OWNED, schemas=SCHEMAS)
    if owned:
        yield Weakness(Level.TRIGGER_ONLY, f"{name} owns {', '.join(owned)}", f"{UPGRADE}; {other}")
        return
    rights = postgres.column(connection, RIGHTS)
    if rights:
        yield Weakness(Level.TRIGGER_ONLY, f"{name} has more rights than to read the log: {', '.join(rights)}", other)


def _separation(connection: Connection) -> Iterator[Weakness]:
    """Whether the log's owner is nobody."""
    if postgres.value(connection, OWNED_BY_ANOTHER, owner=AUDIT_OWNER):
        yield Weakness(Level.TRIGGER_ONLY, f"the log does not belong to {AUDIT_OWNER}", UPGRADE)
    for member in postgres.column(connection, AUDIT_OWNERS, owner=AUDIT_OWNER):
        yield Weakness(
            Level.TRIGGER_ONLY, f"{member} is a member of {AUDIT_OWNER}", f"revoke {AUDIT_OWNER} from {member}"
        )


def _guard(connection: Connection) -> Iterator[Weakness]:
    """Whether DDL is refused to all but superusers."""
    found = {name: rest for name, *rest in postgres.rows(connection, GUARDS, names=tuple(EVENT_TRIGGERS))}
    for name, (event, function) in EVENT_TRIGGERS.items():
        if name not in found:
            yield Weakness(
                Level.TRIGGER_ONLY, f"the event trigger {name} is missing: owners are not kept from DDL", UPGRADE
            )
        elif found[name][:3] != [event, f"audit_guard.{function}", "A"]:
            yield Weakness(Level.BROKEN, f"the event trigger {name} is not as released, or switched off", REPAIR)
        elif not found[name][3]:
            yield Weakness(Level.TRIGGER_ONLY, f"the event trigger {name} does not belong to a superuser", UPGRADE)
    if postgres.value(connection, EVENT_TRIGGERS_ARE_OFF):
        yield Weakness(Level.BROKEN, "event triggers are switched off (event_triggers = off)", REPAIR)


LOOKS: Iterable[Callable[[Connection], Iterator[Weakness]]] = (_changed, _opened, _powers, _separation, _guard)

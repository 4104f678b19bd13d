"""Who owns what in the database: the roles that keep the service from its own audit log.

`registry_owner` owns the registry's tables and `audit_owner` the log; neither logs in. The service connects as
`registry_app`, or as a member of it, and owns nothing. At the end of every `registry db upgrade` this is settled anew
from the catalogue, so that what a migration has added gets its owner and its grants, and so that a database that was
made with a single role is completed by the first upgrade that a superuser runs on it.

A superuser gets everything. Who may only create roles gets the roles, but not the guard of event triggers, and stays
a member of both owners, since later upgrades need that. Anybody else leaves things as they are: the service then works
with the one role that it has, and registry/posture.py says what that is worth.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Connection, text

from registry.released import TRIGGERS

OWNER, AUDIT_OWNER = "registry_owner", "audit_owner"
APP, MIGRATOR, SEALER = "registry_app", "registry_migrator", "audit_sealer"
READER, ERASER = "audit_reader", "audit_eraser"
LOGINS = (APP, MIGRATOR, SEALER, READER, ERASER)
"""Made with LOGIN and without a password: one has to be set, or a login made a member, before they serve from afar."""
LOCK = 0x7265676973747279
"""The advisory lock of an upgrade, as in migrations/env.py."""
GUARD = (Path(__file__).parent / "guard.sql").read_text(encoding="utf-8")
EVENT_TRIGGERS = {
    "registry_audit_command": ("ddl_command_end", "command"),
    "registry_audit_dropped": ("sql_drop", "dropped"),
    "registry_audit_rewritten": ("table_rewrite", "rewritten"),
}
"""Their events, and their functions in schema audit_guard. Their names are the database's, hence the prefix."""

REGISTRY_GRANTS = f"""
REVOKE ALL ON SCHEMA registry FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA registry FROM PUBLIC, {APP}, {AUDIT_OWNER}, {SEALER}, {READER};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA registry FROM PUBLIC, {APP};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA registry FROM PUBLIC, {APP};
GRANT USAGE ON SCHEMA registry TO {APP}, {AUDIT_OWNER}, {SEALER}, {READER};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA registry TO {APP};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA registry TO {APP};
GRANT EXECUTE ON FUNCTION registry.lexemes(text), registry.standing(bytea, text[]) TO {APP};
-- Grants are given and taken away, and never another one from then on.
REVOKE UPDATE ON registry.grants FROM {APP};
-- What triggers write, and what an upgrade writes, the service reads.
REVOKE INSERT, UPDATE, DELETE ON registry.stage_intervals, registry.alias_intervals, registry.name_intervals,
    registry.model_words, registry.alembic_version FROM {APP};
-- The capture names the model that an event is about.
GRANT SELECT (id, name) ON registry.registered_models TO {AUDIT_OWNER};
GRANT SELECT ON registry.alembic_version TO {SEALER};
-- The log is compared with the tables. Digests of tokens and the answers kept for idempotency keys are not in it.
GRANT SELECT ON registry.alembic_version, registry.registered_models, registry.model_versions,
    registry.registered_model_tags, registry.model_version_tags, registry.aliases, registry.comments,
    registry.principals, registry.stage_intervals, registry.alias_intervals, registry.name_intervals TO {READER};
GRANT SELECT ON registry.grants TO {READER};
GRANT SELECT (id, principal_id, role, models, stages, from_settings, description, created_at, expires_at, revoked_at,
    last_used_at) ON registry.tokens TO {READER};
"""
AUDIT_GRANTS = f"""
REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM PUBLIC, {OWNER}, {APP}, {SEALER}, {READER}, {ERASER};
REVOKE ALL ON ALL SEQUENCES IN SCHEMA audit FROM PUBLIC, {OWNER}, {APP}, {SEALER}, {READER}, {ERASER};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC, {OWNER}, {APP}, {SEALER}, {READER}, {ERASER};
GRANT USAGE ON SCHEMA audit TO {OWNER}, {APP}, {SEALER}, {READER}, {ERASER};
-- The triggers that keep the intervals read the instant of the event that opens or closes them.
GRANT SELECT ON audit.stream TO {OWNER};
GRANT EXECUTE ON FUNCTION audit.open_stream(text), audit.to_time(bigint) TO {OWNER};
GRANT SELECT ON audit.event, audit.private, audit.seal, audit.checkpoint, audit.subtree, audit.sealer, audit.stream
    TO {APP};
GRANT EXECUTE ON FUNCTION audit.instant(text), audit.note(text, jsonb) TO {APP};
GRANT SELECT ON audit.event, audit.pending, audit.seal, audit.checkpoint, audit.sealer TO {SEALER};
GRANT DELETE ON audit.pending TO {SEALER};
GRANT SELECT, INSERT, DELETE ON audit.subtree TO {SEALER};
GRANT INSERT ON audit.seal, audit.checkpoint TO {SEALER};
GRANT INSERT, UPDATE ON audit.sealer TO {SEALER};
GRANT EXECUTE ON FUNCTION audit.restore(jsonb) TO {SEALER};
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO {READER};
"""
DEFAULTS = f"""
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA registry GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP};
ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA registry GRANT USAGE ON SEQUENCES TO {APP};
ALTER DEFAULT PRIVILEGES FOR ROLE {AUDIT_OWNER} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE {AUDIT_OWNER} IN SCHEMA audit GRANT SELECT ON TABLES TO {READER};
"""
ERASE = "audit.erase"
MARK = hashlib.sha256("".join((GUARD, REGISTRY_GRANTS, AUDIT_GRANTS, DEFAULTS, repr(TRIGGERS))).encode()).hexdigest()
"""Which edition of all this a database has; it stands in the comment of schema audit_guard, or else of audit."""

MAY = text(
    "SELECT rolsuper, rolcreaterole AND (SELECT bool_and(pg_has_role(nspowner, 'MEMBER')) FROM pg_namespace "
    "WHERE nspname IN ('registry', 'audit')), EXISTS (SELECT FROM pg_namespace WHERE nspname = 'registry' "
    "AND nspowner = to_regrole(:owner) AND pg_has_role(nspowner, 'MEMBER')) "
    "FROM pg_roles WHERE rolname = current_user"
)
STATE = text(
    "SELECT to_regnamespace('audit') IS NOT NULL AS installed, "
    "coalesce(obj_description(to_regnamespace('audit_guard'), 'pg_namespace'), "
    "obj_description(to_regnamespace('audit'), 'pg_namespace')) AS mark"
)
FOREIGN = text(
    # Objects that do not belong to whom they should, as ALTER commands; tables before what hangs on them.
    "WITH wanted (schema, owner) AS (VALUES ('registry', :owner), ('audit', :audit_owner)), found AS ("
    "SELECT n.nspname, 0 AS place, 'SCHEMA' AS kind, quote_ident(n.nspname) AS name, n.nspowner AS has "
    "FROM pg_namespace n "
    "UNION ALL SELECT n.nspname, 1, 'TABLE', format('%I.%I', n.nspname, c.relname), c.relowner "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
    "UNION ALL SELECT n.nspname, 2, 'ROUTINE', p.oid::regprocedure::text, p.proowner "
    "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace) "
    "SELECT kind, name, has::regrole::text AS has, format('ALTER %s %s OWNER TO %I', kind, name, owner) AS command "
    "FROM found JOIN wanted ON schema = nspname WHERE has::regrole::text <> owner ORDER BY place, name"
)
MEMBERS = text(
    "SELECT m.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member WHERE a.roleid = to_regrole(:role)"
)
KEEP = text(
    "INSERT INTO audit_guard.kept SELECT split_part(name, ' ', 1), split_part(name, ' ', 2), made "
    "FROM unnest(CAST(:names AS text[]), CAST(:made AS text[])) AS t (name, made)"
)


def settle(connection: Connection) -> bool:
    """Separate the roles as far as the connected one may; return whether anything was to be done.

    The connection has no transaction open, before and after.
    """
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        installed, mark = connection.execute(STATE).one()
        if not installed:
            return False
        foreign = connection.execute(FOREIGN, {"owner": OWNER, "audit_owner": AUDIT_OWNER}).all()
        superuser, creator, member = connection.execute(MAY, {"owner": OWNER}).one()
        if not (superuser or creator):
            return bool(member) and _grant_again(connection)
        if mark in {MARK, mark_of(superuser=superuser)} and not foreign:
            return False
        tell(connection)
        _separate(connection, [str(row.has) for row in foreign if row.kind == "SCHEMA"], superuser=superuser)
        return True


def _grant_again(connection: Connection) -> bool:
    """Let the service use what a migration has made that could not do more: one of a member of the registry's owner."""
    _run(connection, f"SET LOCAL ROLE {OWNER}")
    _run(connection, REGISTRY_GRANTS)
    return True


def mark_of(*, superuser: bool) -> str:
    """Return the mark of a database that was settled by such a user; one without the guard is marked as such."""
    return MARK if superuser else f"{MARK} without guard"


def tell(connection: Connection) -> None:
    """Say to the database in whose name its owners change, for the guard's own record of that."""
    say = text("SELECT set_config('app.actor', 'migration:ownership', true), set_config('app.request_id', :id, true)")
    connection.execute(say, {"id": f"ownership-{MARK[:16]}"})


def _separate(connection: Connection, owners: list[str], *, superuser: bool) -> None:
    for role in (OWNER, AUDIT_OWNER, *LOGINS):
        _create(connection, role)
    _join(connection, OWNER, [MIGRATOR])
    if not superuser:
        _join(connection, OWNER, ["CURRENT_USER"])
        _join(connection, AUDIT_OWNER, ["CURRENT_USER"])
    _hand_over(connection)
    _keep_working(connection, owners)
    for statements in (REGISTRY_GRANTS, AUDIT_GRANTS, DEFAULTS):
        _run(connection, statements)
    _grant_erasure(connection)
    if superuser:
        _guard(connection)
    else:
        _run(connection, f"COMMENT ON SCHEMA audit IS '{mark_of(superuser=False)}'")


def _create(connection: Connection, role: str) -> None:
    """Make a role, unless it is there; roles belong to the whole server, where another database may just make it."""
    login = "LOGIN" if role in LOGINS else "NOLOGIN"
    _run(
        connection,
        f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} {login}; END IF; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )


def _join(connection: Connection, role: str, members: Iterable[str]) -> None:
    for member in members:
        name = connection.scalar(text("SELECT current_user")) if member == "CURRENT_USER" else member
        if not connection.scalar(
            text("SELECT pg_has_role(:member, :role, 'USAGE')"), {"member": str(name), "role": role}
        ):
            _run(connection, f"GRANT {role} TO {member}")


def _hand_over(connection: Connection) -> None:
    """Give every object the owner that it should have, once nobody is in the middle of a change."""
    foreign = connection.execute(FOREIGN, {"owner": OWNER, "audit_owner": AUDIT_OWNER}).all()
    tables = [row.name for row in foreign if row.kind == "TABLE"]
    if tables:
        _run(connection, f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    for row in foreign:
        _run(connection, row.command)


def _keep_working(connection: Connection, owners: list[str]) -> None:
    """Let a service go on that connects as the one role that owned everything until now, and may seal too."""
    plain = text("SELECT rolname FROM pg_roles WHERE rolname::regrole::text = ANY (:owners) AND NOT rolsuper")
    for owner in connection.scalars(plain, {"owners": sorted(set(owners) - {OWNER, AUDIT_OWNER})}).all():
        for role in (APP, SEALER):
            _run(connection, f'GRANT {role} TO "{owner.replace(chr(34), chr(34) * 2)}"')


def _grant_erasure(connection: Connection) -> None:
    """Let the privacy officer's role erase, by whatever functions there are for that."""
    erasing = (
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'audit'::regnamespace AND proname = :name"
    )
    for function in connection.scalars(text(erasing), {"name": ERASE.partition(".")[2]}).all():
        _run(connection, f"GRANT EXECUTE ON FUNCTION {function} TO {ERASER}")


def _guard(connection: Connection) -> None:
    """Put up the guard that only a superuser can put up, and can take down."""
    for member in connection.scalars(MEMBERS, {"role": AUDIT_OWNER}).all():
        _run(connection, f'REVOKE {AUDIT_OWNER} FROM "{member}" CASCADE')
    _run(connection, GUARD)
    _run(connection, "DELETE FROM audit_guard.kept")
    connection.execute(KEEP, {"names": list(TRIGGERS), "made": list(TRIGGERS.values())})
    _run(connection, f"COMMENT ON SCHEMA audit_guard IS '{mark_of(superuser=True)}'")
    for name, (event, function) in EVENT_TRIGGERS.items():
        _run(connection, f"DROP EVENT TRIGGER IF EXISTS {name}")
        _run(connection, f"CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION audit_guard.{function}()")
        _run(connection, f"ALTER EVENT TRIGGER {name} ENABLE ALWAYS")


def _run(connection: Connection, statements: str) -> None:
    """Execute SQL verbatim; none of it comes from outside the catalogue and this file."""
    connection.execution_options(no_parameters=True).exec_driver_sql(statements)

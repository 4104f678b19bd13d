"""Sealing: every event gets a dense position in one log, and checkpoints say what the log was at a size.

`audit.append` puts each event into `audit.pending` in the transaction of the change. The sealer (registry/sealer/)
takes events from there and gives them positions: in the order of their ids, so that a stream stays in order and what
was answered before another change began stands before it; a transaction that commits late gets later positions, and
whoever reads by position misses nothing. `seal.leaf` is the event's leaf hash, which outlives an archived body.

`audit.subtree` has the roots of the complete subtrees of 256, 256 * 256, … leaves, so that a proof does not read the
whole log. They follow from the leaves: a wrong one gives a proof that fails, and nothing else.

While a transaction lasts, its setting `app.receipts` tells which events it has written: of each stream the last one.

`audit.sealer` is one row that says how the sealer is, for those who watch the service. It proves nothing.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE audit.pending (
    event_id    bigint CONSTRAINT pk_pending PRIMARY KEY
);

CREATE TABLE audit.seal (
    position    bigint CONSTRAINT pk_seal PRIMARY KEY CONSTRAINT ck_seal_position CHECK (position >= 0),
    event_id    bigint NOT NULL CONSTRAINT uq_seal_event_id UNIQUE
                CONSTRAINT fk_seal_event_id_event REFERENCES audit.event,
    leaf        bytea NOT NULL CONSTRAINT ck_seal_leaf CHECK (octet_length(leaf) = 32)
);

CREATE TABLE audit.checkpoint (
    origin      text COLLATE "C" NOT NULL,
    size        bigint NOT NULL CONSTRAINT ck_checkpoint_size CHECK (size >= 0),
    note        text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_checkpoint PRIMARY KEY (origin, size)
);

CREATE INDEX ix_checkpoint_created_at ON audit.checkpoint (created_at, size);
CREATE INDEX ix_checkpoint_size ON audit.checkpoint (size, created_at);
CREATE INDEX ix_event_object ON audit.event (object, at_us, id);

CREATE TABLE audit.subtree (
    height      smallint CONSTRAINT ck_subtree_height CHECK (height > 0 AND height % 8 = 0),
    number      bigint CONSTRAINT ck_subtree_number CHECK (number >= 0),
    hash        bytea NOT NULL CONSTRAINT ck_subtree_hash CHECK (octet_length(hash) = 32),
    CONSTRAINT pk_subtree PRIMARY KEY (height, number)
);

CREATE TABLE audit.sealer (
    one         boolean CONSTRAINT pk_sealer PRIMARY KEY DEFAULT true CONSTRAINT ck_sealer_one CHECK (one),
    state       text NOT NULL CONSTRAINT ck_sealer_state CHECK (state IN ('sealing', 'refusing')),
    why         text,
    since       timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL
);
"""

APPEND = """
CREATE OR REPLACE FUNCTION audit.append(p_stream text, p_action text, p_object text, p_subject jsonb, p_changes jsonb)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_actor text := current_setting('app.actor', true);
    v_request text := current_setting('app.request_id', true);
    v_reason text := nullif(current_setting('app.reason', true), '');
    v_salt bytea := audit.salt();
    v_head audit.stream;
    v_body text;
    v_hash bytea;
    v_id bigint;
    v_receipts jsonb := coalesce(nullif(current_setting('app.receipts', true), ''), '{}')::jsonb;
BEGIN
    -- A setting that was local to an earlier transaction reads '' afterwards, not NULL.
    IF coalesce(v_actor, '') = '' OR coalesce(v_request, '') = '' THEN
        RAISE EXCEPTION 'a change needs an actor and a request id' USING ERRCODE = 'insufficient_privilege';
    END IF;
    v_head := audit.open_stream(p_stream);
    v_body := (p_subject || jsonb_build_object(
        'v', 1, 'stream', p_stream, 'seq', v_head.seq + 1, 'at_us', v_head.at_us,
        'actor', v_actor, 'credential', nullif(current_setting('app.credential', true), ''),
        'db_user', session_user, 'action', p_action, 'object', p_object, 'request_id', v_request,
        'reason', CASE WHEN v_reason IS NOT NULL THEN audit.salted(v_reason, v_salt) END,
        'changes', p_changes, 'prev', encode(v_head.head, 'hex')))::text;
    v_hash := sha256('\\x00'::bytea || convert_to(v_body, 'UTF8'));
    v_head.seq := v_head.seq + 1;
    v_head.head := v_hash;
    PERFORM audit.move_head(v_head);
    INSERT INTO audit.event (body, hash) VALUES (v_body, v_hash) RETURNING id INTO v_id;
    INSERT INTO audit.pending VALUES (v_id);
    -- At most 16 streams: a change that touches more is none of a caller who keeps receipts.
    IF v_receipts ? p_stream OR (SELECT count(*) FROM jsonb_object_keys(v_receipts)) < 16 THEN
        v_receipts := v_receipts || jsonb_build_object(p_stream, v_head.seq || '/' || encode(v_hash, 'hex'));
        PERFORM set_config('app.receipts', v_receipts::text, true);
    END IF;
    IF v_reason IS NOT NULL THEN
        INSERT INTO audit.private VALUES (v_id, 'reason', 'after', v_salt, v_reason);
    END IF;
    RETURN v_id;
END $f$;
"""

# The first event after the database was restored from a backup: what had been signed, and what there is now.
RESTORE = """
CREATE FUNCTION audit.restore(p_changes jsonb) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
    SELECT audit.append('system:restore', 'system.restore', 'system:restore', '{}'::jsonb, p_changes)
$f$;
REVOKE EXECUTE ON FUNCTION audit.restore(jsonb) FROM PUBLIC;
"""

BACKFILL = "INSERT INTO audit.pending SELECT id FROM audit.event"
APPEND_ONLY = ("seal", "checkpoint")


def run(statements: str) -> None:
    """Execute SQL verbatim: op.execute() would read ':word' and '%s' as parameters."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)


def always(table: str, trigger: str, clause: str) -> None:
    """Refuse, also where session_replication_role says replica."""
    op.execute(f"CREATE TRIGGER {trigger} {clause} EXECUTE FUNCTION audit.refuse()")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def hold_writers() -> None:
    """Let no change begin until the commit: one inside the old audit.append would leave an event that nobody seals."""
    captured = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'a_capture' ORDER BY 1"
    tables = [*op.get_bind().exec_driver_sql(captured).scalars(), "audit.event"]
    op.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")


def upgrade() -> None:
    hold_writers()
    for statements in (TABLES, APPEND, RESTORE, BACKFILL):
        run(statements)
    for table in APPEND_ONLY:
        always(f"audit.{table}", "guard_rows", f"BEFORE UPDATE OR DELETE ON audit.{table} FOR EACH ROW")
        always(f"audit.{table}", "guard_truncate", f"BEFORE TRUNCATE ON audit.{table} FOR EACH STATEMENT")

"""The audit log: one changed row, one event, written by the database in the transaction of the change.

An event is one line of JSON, `audit.event.body`. That text is what is hashed, what is chained and what is exported;
the filter columns are generated from it. Each model (and each token, principal) has a stream of its own: `seq` is
dense, `prev` is the hash of the event before, and the clock is read under the stream's lock, once per transaction, so
that neither ever goes back. The hash is SHA-256(0x00 || body), the leaf hash of RFC 6962.

Texts that a person may have a right to have erased, and texts too long for a line, are not in the body but in
`audit.private`; the body holds their salted digest.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE SCHEMA audit;

CREATE TABLE audit.stream (
    stream  text COLLATE "C" CONSTRAINT pk_stream PRIMARY KEY,
    seq     bigint NOT NULL,
    head    bytea NOT NULL,
    at_us   bigint NOT NULL,
    xid     xid8 NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE audit.event (
    id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) CONSTRAINT pk_event PRIMARY KEY,
    body        text NOT NULL CONSTRAINT ck_event_body CHECK (octet_length(body) <= 65535),
    hash        bytea NOT NULL,
    stream      text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body::json ->> 'stream') STORED,
    seq         bigint NOT NULL GENERATED ALWAYS AS ((body::json ->> 'seq')::bigint) STORED,
    at_us       bigint NOT NULL GENERATED ALWAYS AS ((body::json ->> 'at_us')::bigint) STORED,
    actor       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body::json ->> 'actor') STORED,
    action      text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body::json ->> 'action') STORED,
    object      text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body::json ->> 'object') STORED,
    model_id    bigint GENERATED ALWAYS AS ((body::json ->> 'model_id')::bigint) STORED,
    number      integer GENERATED ALWAYS AS ((body::json ->> 'version')::integer) STORED,
    request_id  text COLLATE "C" NOT NULL GENERATED ALWAYS AS (body::json ->> 'request_id') STORED,
    CONSTRAINT uq_event_stream UNIQUE (stream, seq)
);
CREATE INDEX ix_event_at ON audit.event (at_us, id);
CREATE INDEX ix_event_model ON audit.event (model_id, at_us, id);
CREATE INDEX ix_event_actor ON audit.event (actor, at_us, id);
CREATE INDEX ix_event_action ON audit.event (action, at_us, id);

CREATE TABLE audit.private (
    event_id  bigint NOT NULL CONSTRAINT fk_private_event_id_event REFERENCES audit.event,
    field     text NOT NULL,
    side      text NOT NULL CONSTRAINT ck_private_side CHECK (side IN ('before', 'after')),
    salt      bytea NOT NULL,
    content   text NOT NULL,
    CONSTRAINT pk_private PRIMARY KEY (event_id, field, side)
);
"""

# audit.open_stream locks the head of a stream and reads its clock: the wall clock, but always later than the last
# event, and the same for all that one transaction does.
CLOCK = """
CREATE FUNCTION audit.open_stream(p_stream text) RETURNS audit.stream
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    head audit.stream;
    here xid8 := pg_current_xact_id();
BEGIN
    SELECT * INTO head FROM audit.stream s WHERE s.stream = p_stream FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO audit.stream VALUES (p_stream, 0, ''::bytea, 0, '0') ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM audit.stream s WHERE s.stream = p_stream FOR UPDATE;
    END IF;
    IF head.xid <> here THEN
        head.at_us := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.at_us + 1);
        head.xid := here;
    END IF;
    RETURN head;
END $f$;

CREATE FUNCTION audit.to_time(p_us bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT timestamptz 'epoch' + p_us * interval '1 microsecond'
$f$;

CREATE FUNCTION audit.instant(p_stream text) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    head audit.stream := audit.open_stream(p_stream);
BEGIN
    UPDATE audit.stream s SET at_us = head.at_us, xid = head.xid WHERE s.stream = p_stream AND s.xid <> head.xid;
    RETURN audit.to_time(head.at_us);
END $f$;
"""

APPEND = """
CREATE FUNCTION audit.salted(p_text text, p_salt bytea) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT jsonb_build_object('salted_sha256', encode(sha256(p_salt || convert_to(p_text, 'UTF8')), 'hex'))
$f$;

CREATE FUNCTION audit.salt() RETURNS bytea
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
$f$;

CREATE FUNCTION audit.append(p_stream text, p_action text, p_object text, p_subject jsonb, p_changes jsonb)
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
    UPDATE audit.stream s SET seq = v_head.seq + 1, head = v_hash, at_us = v_head.at_us, xid = v_head.xid
        WHERE s.stream = p_stream;
    INSERT INTO audit.event (body, hash) VALUES (v_body, v_hash) RETURNING id INTO v_id;
    IF v_reason IS NOT NULL THEN
        INSERT INTO audit.private VALUES (v_id, 'reason', 'after', v_salt, v_reason);
    END IF;
    RETURN v_id;
END $f$;
"""

# The trigger's arguments: kind, columns that are not recorded, columns that are erasable.
CAPTURE = """
CREATE FUNCTION audit.verb(p_op text, p_kind text, p_changes jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT CASE
        WHEN p_kind IN ('registered_model_tag', 'model_version_tag', 'alias')
            THEN CASE p_op WHEN 'DELETE' THEN 'unset' ELSE 'set' END
        WHEN p_op = 'INSERT' THEN 'create'
        WHEN p_op = 'DELETE' THEN 'delete'
        WHEN p_kind = 'comment' THEN 'edit'
        WHEN p_kind = 'token' AND p_changes ? 'revoked_at' THEN 'revoke'
        WHEN p_kind NOT IN ('registered_model', 'model_version') THEN 'update'
        WHEN p_changes ? 'deleted_at'
            THEN CASE jsonb_typeof(p_changes -> 'deleted_at' -> 1) WHEN 'null' THEN 'restore' ELSE 'delete' END
        WHEN p_changes ? 'stage' THEN 'transition'
        WHEN p_changes ? 'name' THEN 'rename'
        WHEN p_changes ? 'description' THEN 'describe'
        ELSE 'update'
    END
$f$;

CREATE FUNCTION audit.object_of(p_kind text, p_row jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT CASE p_kind
        WHEN 'registered_model' THEN 'model:' || (p_row ->> 'id')
        WHEN 'model_version' THEN format('model:%s/version:%s', p_row ->> 'model_id', p_row ->> 'number')
        WHEN 'registered_model_tag' THEN format('model:%s/tag:%s', p_row ->> 'model_id', p_row ->> 'key')
        WHEN 'model_version_tag'
            THEN format('model:%s/version:%s/tag:%s', p_row ->> 'model_id', p_row ->> 'number', p_row ->> 'key')
        WHEN 'alias' THEN format('model:%s/alias:%s', p_row ->> 'model_id', p_row ->> 'alias')
        WHEN 'comment' THEN format('model:%s%s/comment:%s', p_row ->> 'model_id',
                                   coalesce('/version:' || (p_row ->> 'number'), ''), p_row ->> 'id')
        ELSE p_kind || ':' || (p_row ->> 'id')
    END
$f$;

CREATE FUNCTION audit.subject_of(p_kind text, p_row jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_model bigint := CASE p_kind WHEN 'registered_model' THEN p_row ->> 'id' ELSE p_row ->> 'model_id' END;
    v_name text;
BEGIN
    IF v_model IS NULL THEN
        RETURN '{}';
    END IF;
    IF p_kind = 'registered_model' THEN
        v_name := p_row ->> 'name';
    ELSE
        SELECT m.name INTO v_name FROM registry.registered_models m WHERE m.id = v_model;
    END IF;
    RETURN jsonb_strip_nulls(
        jsonb_build_object('model_id', v_model, 'model', v_name, 'version', p_row -> 'number'));
END $f$;

CREATE FUNCTION audit.capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $f$
DECLARE
    v_kind text := TG_ARGV[0];
    v_ignored text[] := string_to_array(TG_ARGV[1], ',');
    v_erasable text[] := string_to_array(TG_ARGV[2], ',');
    v_before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN jsonb_strip_nulls(to_jsonb(OLD) - v_ignored) ELSE '{}' END;
    v_after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN jsonb_strip_nulls(to_jsonb(NEW) - v_ignored) ELSE '{}' END;
    v_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    v_object text := audit.object_of(v_kind, v_row);
    v_changes jsonb := '{}';
    v_private jsonb := '[]';
    v_field text;
    v_sides jsonb;
    v_salt bytea;
    v_event bigint;
BEGIN
    FOR v_field IN SELECT k FROM jsonb_object_keys(v_before || v_after) k
                   WHERE v_before -> k IS DISTINCT FROM v_after -> k ORDER BY k LOOP
        v_sides := jsonb_build_array(v_before -> v_field, v_after -> v_field);
        FOR i IN 0..1 LOOP
            CONTINUE WHEN jsonb_typeof(v_sides -> i) <> 'string';
            CONTINUE WHEN NOT (v_field = ANY (v_erasable) OR octet_length(v_sides ->> i) > 1024);
            v_salt := audit.salt();
            v_private := v_private || jsonb_build_object(
                'field', v_field, 'side', CASE i WHEN 0 THEN 'before' ELSE 'after' END,
                'salt', encode(v_salt, 'hex'), 'content', v_sides ->> i);
            v_sides := jsonb_set(v_sides, ARRAY[i::text], audit.salted(v_sides ->> i, v_salt));
        END LOOP;
        v_changes := v_changes || jsonb_build_object(v_field, v_sides);
    END LOOP;
    IF v_changes = '{}' THEN
        RETURN NULL;
    END IF;
    v_event := audit.append(
        split_part(v_object, '/', 1), v_kind || '.' || audit.verb(TG_OP, v_kind, v_changes), v_object,
        audit.subject_of(v_kind, v_row), v_changes);
    INSERT INTO audit.private
        SELECT v_event, p ->> 'field', p ->> 'side', decode(p ->> 'salt', 'hex'), p ->> 'content'
        FROM jsonb_array_elements(v_private) p;
    RETURN NULL;
END $f$;
"""

# Intervals are kept by triggers that fire after the capture trigger (triggers fire in the order of their names), so
# that the head of the stream is the event that opens or closes the interval. An interval that would begin and end at
# one instant was never seen by anybody and is removed.
INTERVALS = """
CREATE FUNCTION registry.track_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    was text := CASE WHEN TG_OP = 'UPDATE' AND OLD.deleted_at IS NULL THEN OLD.stage END;
    becomes text := CASE WHEN NEW.deleted_at IS NULL THEN NEW.stage END;
    head audit.stream;
BEGIN
    IF was IS NOT DISTINCT FROM becomes THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT head FROM audit.stream s WHERE s.stream = 'model:' || NEW.model_id;
    DELETE FROM registry.stage_intervals i WHERE i.model_id = NEW.model_id AND i.number = NEW.number
        AND i.until IS NULL AND i.since = audit.to_time(head.at_us);
    UPDATE registry.stage_intervals i SET until = audit.to_time(head.at_us), closed_seq = head.seq
        WHERE i.model_id = NEW.model_id AND i.number = NEW.number AND i.until IS NULL;
    IF becomes IS NOT NULL THEN
        INSERT INTO registry.stage_intervals
            VALUES (NEW.model_id, NEW.number, becomes, audit.to_time(head.at_us), NULL, head.seq, NULL);
    END IF;
    RETURN NULL;
END $f$;

CREATE FUNCTION registry.track_alias() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_model bigint := CASE TG_OP WHEN 'DELETE' THEN OLD.model_id ELSE NEW.model_id END;
    v_alias text := CASE TG_OP WHEN 'DELETE' THEN OLD.alias ELSE NEW.alias END;
    head audit.stream;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.number = NEW.number THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT head FROM audit.stream s WHERE s.stream = 'model:' || v_model;
    DELETE FROM registry.alias_intervals i WHERE i.model_id = v_model AND i.alias = v_alias
        AND i.until IS NULL AND i.since = audit.to_time(head.at_us);
    UPDATE registry.alias_intervals i SET until = audit.to_time(head.at_us), closed_seq = head.seq
        WHERE i.model_id = v_model AND i.alias = v_alias AND i.until IS NULL;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO registry.alias_intervals
            VALUES (v_model, v_alias, NEW.number, audit.to_time(head.at_us), NULL, head.seq, NULL);
    END IF;
    RETURN NULL;
END $f$;

CREATE FUNCTION registry.track_name() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    was text := CASE WHEN TG_OP = 'UPDATE' AND OLD.deleted_at IS NULL THEN OLD.name END;
    becomes text := CASE WHEN NEW.deleted_at IS NULL THEN NEW.name END;
    head audit.stream;
BEGIN
    IF was IS NOT DISTINCT FROM becomes THEN
        RETURN NULL;
    END IF;
    SELECT * INTO STRICT head FROM audit.stream s WHERE s.stream = 'model:' || NEW.id;
    DELETE FROM registry.name_intervals i
        WHERE i.model_id = NEW.id AND i.until IS NULL AND i.since = audit.to_time(head.at_us);
    UPDATE registry.name_intervals i SET until = audit.to_time(head.at_us), closed_seq = head.seq
        WHERE i.model_id = NEW.id AND i.until IS NULL;
    IF becomes IS NOT NULL THEN
        INSERT INTO registry.name_intervals
            VALUES (NEW.id, becomes, audit.to_time(head.at_us), NULL, head.seq, NULL);
    END IF;
    RETURN NULL;
END $f$;
"""

GUARD = """
CREATE FUNCTION audit.refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $f$;
"""

# table: (kind, columns not recorded, erasable columns). Not recorded is what follows from other events (last_number,
# updated_at), what moves without meaning a change (last_used_at), and what must not be readable (digest).
CAPTURED = {
    "registered_models": ("registered_model", "updated_at,last_number", "description"),
    "model_versions": ("model_version", "updated_at", "description"),
    "registered_model_tags": ("registered_model_tag", "", ""),
    "model_version_tags": ("model_version_tag", "", ""),
    "aliases": ("alias", "", ""),
    "comments": ("comment", "updated_at", "text"),
    "principals": ("principal", "", "name"),
    "tokens": ("token", "last_used_at,digest", "description"),
}
TRACKED = {"model_versions": "track_stage", "aliases": "track_alias", "registered_models": "track_name"}
APPEND_ONLY = ("event", "private")
INTERNAL = (
    "audit.append(text, text, text, jsonb, jsonb)",
    "audit.open_stream(text)",
    "audit.capture()",
    "audit.subject_of(text, jsonb)",
    "registry.track_stage()",
    "registry.track_alias()",
    "registry.track_name()",
)


def run(statements: str) -> None:
    """Execute SQL verbatim: op.execute() would read ':word' and '%s' as parameters."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)


def always(table: str, trigger: str, clause: str, function: str) -> None:
    """Make a trigger that also fires where session_replication_role says replica."""
    op.execute(f"CREATE TRIGGER {trigger} {clause} ON {table} {function}")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def upgrade() -> None:
    for statements in (TABLES, CLOCK, APPEND, CAPTURE, INTERVALS, GUARD):
        run(statements)
    for table, (kind, ignored, erasable) in CAPTURED.items():
        call = f"FOR EACH ROW EXECUTE FUNCTION audit.capture('{kind}', '{ignored}', '{erasable}')"
        always(f"registry.{table}", "a_capture", "AFTER INSERT OR UPDATE OR DELETE", call)
        refuse = "FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse()"
        always(f"registry.{table}", "guard_truncate", "BEFORE TRUNCATE", refuse)
    for table, function in TRACKED.items():
        events = "INSERT OR UPDATE OR DELETE" if table == "aliases" else "INSERT OR UPDATE"
        always(
            f"registry.{table}", "b_track", f"AFTER {events}", f"FOR EACH ROW EXECUTE FUNCTION registry.{function}()"
        )
    for table in APPEND_ONLY:
        call = "EXECUTE FUNCTION audit.refuse()"
        always(f"audit.{table}", "guard_rows", "BEFORE UPDATE OR DELETE", f"FOR EACH ROW {call}")
    for table in (*APPEND_ONLY, "stream"):
        always(
            f"audit.{table}", "guard_truncate", "BEFORE TRUNCATE", "FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse()"
        )
    for function in INTERNAL:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")

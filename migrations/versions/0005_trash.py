"""The trash and what leaves it for good; the digest of a version; indexes for the moves of a version and of a stage.

What is purged leaves its rows, but not the numbers that stood where, nor the audit log: intervals of stages no longer
point at versions, and the row of a purged model stays as a tombstone that keeps its name and its last number.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE registry.model_versions ADD COLUMN digest text;
ALTER TABLE registry.registered_models ADD COLUMN purged_at timestamptz
    CONSTRAINT ck_registered_models_purged_at CHECK (purged_at IS NULL OR deleted_at IS NOT NULL);

CREATE INDEX ix_registered_models_deleted_at ON registry.registered_models (deleted_at, id)
    WHERE deleted_at IS NOT NULL AND purged_at IS NULL;
CREATE INDEX ix_model_versions_deleted_at ON registry.model_versions (deleted_at, model_id, number)
    WHERE deleted_at IS NOT NULL;

ALTER TABLE registry.stage_intervals
    DROP CONSTRAINT fk_stage_intervals_model_id_model_versions,
    ADD CONSTRAINT fk_stage_intervals_model_id_registered_models
        FOREIGN KEY (model_id) REFERENCES registry.registered_models;
CREATE INDEX ix_stage_intervals_since ON registry.stage_intervals (model_id, stage, since, number);
-- Who stands in a stage now is found without walking through all who stood there before.
CREATE INDEX ix_stage_intervals_holders ON registry.stage_intervals (model_id, stage, number) WHERE until IS NULL;
CREATE INDEX ix_event_version ON audit.event (model_id, number, at_us, id) WHERE number IS NOT NULL;
"""

# Every event rewrites the head of its stream, and a transaction cannot get rid of the heads that it replaced itself:
# to find the last one by its key takes the longer the more there were, and ten thousand events in one transaction take
# minutes. So append leaves word where the head lies now, in a setting that ends with the transaction. That is only a
# hint: a row that is not there, not visible or of another stream is looked up by its key as before.
STREAMS = """
CREATE OR REPLACE FUNCTION audit.open_stream(p_stream text) RETURNS audit.stream
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    head audit.stream;
    here xid8 := pg_current_xact_id();
    v_tip tid := nullif(current_setting('audit.tip', true), '')::tid;
BEGIN
    IF v_tip IS NOT NULL THEN
        SELECT * INTO head FROM audit.stream s WHERE s.ctid = v_tip AND s.stream = p_stream FOR UPDATE;
    END IF;
    IF head IS NULL THEN
        SELECT * INTO head FROM audit.stream s WHERE s.stream = p_stream FOR UPDATE;
    END IF;
    IF head IS NULL THEN
        INSERT INTO audit.stream VALUES (p_stream, 0, ''::bytea, 0, '0') ON CONFLICT DO NOTHING;
        SELECT * INTO head FROM audit.stream s WHERE s.stream = p_stream FOR UPDATE;
    END IF;
    IF head.xid <> here THEN
        head.at_us := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.at_us + 1);
        head.xid := here;
    END IF;
    RETURN head;
END $f$;

CREATE FUNCTION audit.move_head(p_head audit.stream) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_tip tid := nullif(current_setting('audit.tip', true), '')::tid;
    v_next tid;
BEGIN
    IF v_tip IS NOT NULL THEN
        UPDATE audit.stream s SET seq = p_head.seq, head = p_head.head, at_us = p_head.at_us, xid = p_head.xid
            WHERE s.ctid = v_tip AND s.stream = p_head.stream RETURNING s.ctid INTO v_next;
    END IF;
    IF v_next IS NULL THEN
        UPDATE audit.stream s SET seq = p_head.seq, head = p_head.head, at_us = p_head.at_us, xid = p_head.xid
            WHERE s.stream = p_head.stream RETURNING s.ctid INTO v_next;
    END IF;
    PERFORM set_config('audit.tip', v_next::text, true);
END $f$;
REVOKE EXECUTE ON FUNCTION audit.move_head(audit.stream) FROM PUBLIC;

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
    IF v_reason IS NOT NULL THEN
        INSERT INTO audit.private VALUES (v_id, 'reason', 'after', v_salt, v_reason);
    END IF;
    RETURN v_id;
END $f$;
"""

# A version that goes for good closes its interval like one that is deleted.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION audit.verb(p_op text, p_kind text, p_changes jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT CASE
        WHEN p_kind IN ('registered_model_tag', 'model_version_tag', 'alias')
            THEN CASE p_op WHEN 'DELETE' THEN 'unset' ELSE 'set' END
        WHEN p_op = 'INSERT' THEN 'create'
        WHEN p_op = 'DELETE' AND p_kind IN ('registered_model', 'model_version') THEN 'purge'
        WHEN p_op = 'DELETE' THEN 'delete'
        WHEN p_kind = 'comment' THEN 'edit'
        WHEN p_kind = 'token' AND p_changes ? 'revoked_at' THEN 'revoke'
        WHEN p_kind NOT IN ('registered_model', 'model_version') THEN 'update'
        WHEN p_changes ? 'purged_at' THEN 'purge'
        WHEN p_changes ? 'deleted_at'
            THEN CASE jsonb_typeof(p_changes -> 'deleted_at' -> 1) WHEN 'null' THEN 'restore' ELSE 'delete' END
        WHEN p_changes ? 'stage' THEN 'transition'
        WHEN p_changes ? 'name' THEN 'rename'
        WHEN p_changes ? 'description' THEN 'describe'
        ELSE 'update'
    END
$f$;

CREATE OR REPLACE FUNCTION registry.track_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_model bigint := CASE TG_OP WHEN 'DELETE' THEN OLD.model_id ELSE NEW.model_id END;
    v_number integer := CASE TG_OP WHEN 'DELETE' THEN OLD.number ELSE NEW.number END;
    was text := CASE WHEN TG_OP <> 'INSERT' AND OLD.deleted_at IS NULL THEN OLD.stage END;
    becomes text := CASE WHEN TG_OP <> 'DELETE' AND NEW.deleted_at IS NULL THEN NEW.stage END;
    head audit.stream;
BEGIN
    IF was IS NOT DISTINCT FROM becomes THEN
        RETURN NULL;
    END IF;
    head := audit.open_stream('model:' || v_model);
    DELETE FROM registry.stage_intervals i WHERE i.model_id = v_model AND i.number = v_number
        AND i.until IS NULL AND i.since = audit.to_time(head.at_us);
    UPDATE registry.stage_intervals i SET until = audit.to_time(head.at_us), closed_seq = head.seq
        WHERE i.model_id = v_model AND i.number = v_number AND i.until IS NULL;
    IF becomes IS NOT NULL THEN
        INSERT INTO registry.stage_intervals
            VALUES (v_model, v_number, becomes, audit.to_time(head.at_us), NULL, head.seq, NULL);
    END IF;
    RETURN NULL;
END $f$;
"""

TRIGGER = """
DROP TRIGGER b_track ON registry.model_versions;
CREATE TRIGGER b_track AFTER INSERT OR UPDATE OR DELETE ON registry.model_versions
    FOR EACH ROW EXECUTE FUNCTION registry.track_stage();
ALTER TABLE registry.model_versions ENABLE ALWAYS TRIGGER b_track;
"""


def upgrade() -> None:
    connection = op.get_bind().execution_options(no_parameters=True)
    for statements in (TABLES, STREAMS, FUNCTIONS, TRIGGER):
        connection.exec_driver_sql(statements)  # verbatim: op.execute() would read ':word' as a parameter

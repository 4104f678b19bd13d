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
CREATE INDEX ix_event_version ON audit.event (model_id, number, at_us, id) WHERE number IS NOT NULL;
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
    SELECT * INTO STRICT head FROM audit.stream s WHERE s.stream = 'model:' || v_model;
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
    for statements in (TABLES, FUNCTIONS, TRIGGER):
        connection.exec_driver_sql(statements)  # verbatim: op.execute() would read ':word' as a parameter

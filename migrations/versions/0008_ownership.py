"""What the service may do to the log now that it does not own it: read it, and have what is no row noted in it.

Who owns what and who may do what stands in registry/ownership.py, which settles it at the end of each upgrade: roles
belong to the whole server and are made by those who may, a migration runs once and as whoever. Here is what holds with
a single role as well: nobody calls the functions of the log unless told that they may.

`audit.note` writes events that no row stands for. Refusals can be caused at will, so of each kind and actor no more
than ten a minute are written; those beyond cost one look at a row and leave nothing. The tenth says that more may have
followed.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE audit.noted (
    actor   text COLLATE "C" NOT NULL,
    action  text COLLATE "C" NOT NULL,
    minute  bigint NOT NULL,
    count   integer NOT NULL,
    CONSTRAINT pk_noted PRIMARY KEY (actor, action)
);
"""

NOTE = """
CREATE FUNCTION audit.may_note(p_actor text, p_action text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_limit CONSTANT integer := 10;
    v_minute bigint := floor(extract(epoch FROM clock_timestamp()) / 60);
    v_left integer;
BEGIN
    PERFORM FROM audit.noted n
        WHERE n.actor = p_actor AND n.action = p_action AND n.minute >= v_minute AND n.count >= v_limit;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.noted AS n VALUES (p_actor, p_action, v_minute, 1)
        ON CONFLICT (actor, action) DO UPDATE SET
            count = CASE WHEN n.minute >= excluded.minute THEN n.count + 1 ELSE 1 END,
            minute = greatest(n.minute, excluded.minute)
        WHERE n.minute < excluded.minute OR n.count < v_limit
        RETURNING v_limit - n.count INTO v_left;
    RETURN v_left;
END $f$;

CREATE FUNCTION audit.note(p_action text, p_changes jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_stream text := CASE p_action
        WHEN 'access.refuse' THEN 'system:access'
        WHEN 'token.refuse' THEN 'system:access'
        WHEN 'audit.export' THEN 'system:export'
    END;
    v_object text := v_stream;
    v_changes jsonb := p_changes;
    v_left integer;
BEGIN
    IF v_stream IS NULL THEN
        RAISE EXCEPTION '% is nothing that can be noted', p_action USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF jsonb_typeof(p_changes) IS DISTINCT FROM 'object' OR octet_length(p_changes::text) > 16384 THEN
        RAISE EXCEPTION 'what is noted is an object of at most 16384 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_action = 'token.refuse' THEN
        v_object := coalesce(nullif(current_setting('app.credential', true), ''), v_stream);
    END IF;
    IF p_action <> 'audit.export' THEN
        v_left := audit.may_note(coalesce(current_setting('app.actor', true), ''), p_action);
        IF v_left IS NULL THEN
            RETURN NULL;
        ELSIF v_left = 0 THEN
            v_changes := v_changes || '{"not_noted": [null, "more of this minute"]}';
        END IF;
    END IF;
    RETURN audit.append(v_stream, p_action, v_object, '{}', v_changes);
END $f$;
"""

CLOSED = "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC"


def upgrade() -> None:
    connection = op.get_bind().execution_options(no_parameters=True)
    for statements in (TABLE, NOTE, CLOSED):
        connection.exec_driver_sql(statements)  # verbatim: op.execute() would read ':word' as a parameter

"""Erasure: the only way in which a text that is kept apart from the log can leave the database.

The log holds the salted digest of such a text; `audit.erase` deletes salt and text, and appends an event that says
who did it, of which text, and on what legal basis. Without the salt the digest says nothing, and the chain, the tree
and every signature stay as they are.

The guard of `audit.private` lets exactly those rows go of which such an event exists. A setting of the transaction
tells it where that event is, and is no more than a hint: whoever sets it must point to an event that names this very
text, and only `audit.erase` writes those. So not even the owner of the table removes a text, by whatever statement,
without an event that says so, as long as the guard stands.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ERASE = """
CREATE FUNCTION audit.erase(p_event bigint, p_field text, p_side text, p_basis text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_body jsonb;
    v_id bigint;
BEGIN
    IF coalesce(btrim(p_basis), '') = '' OR length(p_basis) > 1000 THEN
        RAISE EXCEPTION 'an erasure needs its legal basis, in at most 1000 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM FROM audit.private p WHERE p.event_id = p_event AND p.field = p_field AND p.side = p_side FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event % has no text of this field and side, or it was erased already', p_event
            USING ERRCODE = 'no_data_found';
    END IF;
    SELECT e.body::jsonb INTO STRICT v_body FROM audit.event e WHERE e.id = p_event;
    v_id := audit.append(
        'system:erasure', 'audit.erase', v_body ->> 'object',
        jsonb_strip_nulls(jsonb_build_object(
            'model_id', v_body -> 'model_id', 'model', v_body -> 'model', 'version', v_body -> 'version')),
        jsonb_build_object(
            'stream', jsonb_build_array(NULL, v_body -> 'stream'), 'seq', jsonb_build_array(NULL, v_body -> 'seq'),
            'field', jsonb_build_array(NULL, p_field), 'side', jsonb_build_array(NULL, p_side),
            'basis', jsonb_build_array(NULL, p_basis)));
    PERFORM set_config('audit.erasure', v_id::text, true);
    DELETE FROM audit.private p WHERE p.event_id = p_event AND p.field = p_field AND p.side = p_side;
    PERFORM set_config('audit.erasure', '', true);
    RETURN v_id;
END $f$;
REVOKE EXECUTE ON FUNCTION audit.erase(bigint, text, text, text) FROM PUBLIC;
"""

GUARD = """
CREATE FUNCTION audit.refuse_unless_erased() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_erasure text := current_setting('audit.erasure', true);
BEGIN
    IF TG_OP = 'DELETE' AND v_erasure ~ '^[1-9][0-9]{0,17}$' THEN
        PERFORM FROM audit.event e JOIN audit.event erased ON erased.id = OLD.event_id
            WHERE e.id = v_erasure::bigint AND e.stream = 'system:erasure' AND e.action = 'audit.erase'
            AND e.body::jsonb -> 'changes' @> jsonb_build_object(
                'stream', jsonb_build_array(NULL, erased.stream), 'seq', jsonb_build_array(NULL, erased.seq),
                'field', jsonb_build_array(NULL, OLD.field), 'side', jsonb_build_array(NULL, OLD.side));
        IF FOUND THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $f$;
REVOKE EXECUTE ON FUNCTION audit.refuse_unless_erased() FROM PUBLIC;

DROP TRIGGER guard_rows ON audit.private;
CREATE TRIGGER guard_rows BEFORE UPDATE OR DELETE ON audit.private
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_unless_erased();
ALTER TABLE audit.private ENABLE ALWAYS TRIGGER guard_rows;
"""

# The statistics of a column are samples of its values, which would outlive them.
STATISTICS = """
ALTER TABLE audit.private ALTER COLUMN content SET STATISTICS 0;
ALTER TABLE audit.private ALTER COLUMN salt SET STATISTICS 0;
ALTER TABLE registry.comments ALTER COLUMN text SET STATISTICS 0;
ALTER TABLE registry.registered_models ALTER COLUMN description SET STATISTICS 0;
ALTER TABLE registry.model_versions ALTER COLUMN description SET STATISTICS 0;
"""


def upgrade() -> None:
    connection = op.get_bind().execution_options(no_parameters=True)
    for statements in (ERASE, GUARD, STATISTICS):
        connection.exec_driver_sql(statements)  # verbatim: op.execute() would read ':word' as a parameter

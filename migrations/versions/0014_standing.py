"""Who calls, and whether what a kept answer rests on has changed: a look-up that the database plans once a session.

`registry.standing` returns at most one row: whose a token is and what is granted to it, and of each stream asked for
the hash of its last event, which no other state of the stream ever has. To plan the same as a plain statement takes
the database longer than to answer it.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
serves = "0013"

STANDING = """
CREATE FUNCTION registry.standing(p_digest bytea, p_streams text[])
RETURNS TABLE (
    token_id bigint, role text, models text[], stages text[], principal_id bigint, name text, grants text,
    last_used_at timestamptz, heads bytea[])
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $f$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT t.id, t.role, t.models, t.stages, p.id, p.name,
        (SELECT json_agg(json_build_array(g.id, g.effect, g.role, g.permissions, g.pattern, g.stages_from,
            g.stages_to, g.group_name) ORDER BY g.id)::text
         FROM registry.grants g WHERE g.principal_id = p.id AND g.model_id IS NULL),
        t.last_used_at,
        ARRAY(SELECT (SELECT e.hash FROM audit.event e WHERE e.stream = s.stream ORDER BY e.seq DESC LIMIT 1)
              FROM unnest(p_streams) WITH ORDINALITY AS s (stream, place) ORDER BY s.place)
    FROM registry.tokens t JOIN registry.principals p ON p.id = t.principal_id
    WHERE t.digest = p_digest AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now());
END $f$;
REVOKE EXECUTE ON FUNCTION registry.standing(bytea, text[]) FROM PUBLIC;
"""


def upgrade() -> None:
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(STANDING)

"""A head is the hash of a stream's last event and the clock of the stream.

Some changes are no event and are shown all the same: who gives a version the description or the stage that it has moves
the time at which it was changed last. All of them read the clock of the model's stream and set it on; none of them
shows in a hash.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
serves = "0013"

STANDING = """
CREATE OR REPLACE FUNCTION registry.standing(p_digest bytea, p_streams text[])
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
        ARRAY(SELECT (SELECT h.head || int8send(h.at_us) FROM audit.stream h WHERE h.stream = s.stream)
              FROM unnest(p_streams) WITH ORDINALITY AS s (stream, place) ORDER BY s.place)
    FROM registry.tokens t JOIN registry.principals p ON p.id = t.principal_id
    WHERE t.digest = p_digest AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now());
END $f$;
"""

# Where the roles are separate, the service needs this right from the next request on, whoever runs the upgrade.
RIGHT = """
DO $$ BEGIN IF to_regrole('registry_app') IS NOT NULL THEN GRANT SELECT ON audit.stream TO registry_app; END IF; END $$;
"""


def upgrade() -> None:
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(STANDING + RIGHT)

"""Grants: who may do what, on which models and between which stages; and tokens that are narrower than their holder.

The role of a token, which was its holder's authority, becomes the ceiling of what the token can be used for. So that
everything works as before, each principal gets a grant over all models, with the highest role among its usable tokens.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
# Older code would take a token that was narrowed, or whose holder was granted less, for what its role says.
serves = "0012"

TABLES = """
CREATE TABLE registry.grants (
    id            bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_grants PRIMARY KEY,
    principal_id  bigint CONSTRAINT fk_grants_principal_id_principals REFERENCES registry.principals,
    group_name    text COLLATE "C",
    effect        text NOT NULL CONSTRAINT ck_grants_effect CHECK (effect IN ('allow', 'deny')),
    role          text CONSTRAINT ck_grants_role
                  CHECK (role IN ('viewer', 'contributor', 'approver', 'administrator', 'owner')),
    permissions   text[] CONSTRAINT ck_grants_permissions CHECK (
                      permissions <@ ARRAY['read', 'register', 'describe', 'comment', 'transition', 'promote', 'alias',
                          'rename', 'delete', 'administer'] AND cardinality(permissions) > 0),
    pattern       text COLLATE "C" NOT NULL DEFAULT '*',
    model_id      bigint CONSTRAINT fk_grants_model_id_registered_models REFERENCES registry.registered_models,
    stages_from   text[] CONSTRAINT ck_grants_stages_from CHECK (
                      stages_from <@ ARRAY['None', 'Staging', 'Production', 'Archived']
                      AND cardinality(stages_from) > 0),
    stages_to     text[] CONSTRAINT ck_grants_stages_to CHECK (
                      stages_to <@ ARRAY['None', 'Staging', 'Production', 'Archived'] AND cardinality(stages_to) > 0),
    description   text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by    text NOT NULL,
    CONSTRAINT ck_grants_holder CHECK (num_nonnulls(principal_id, group_name) = 1),
    -- Each role includes reading: to deny one would hide the models.
    CONSTRAINT ck_grants_deny CHECK (effect = 'allow' OR role IS NULL),
    CONSTRAINT ck_grants_what CHECK (num_nonnulls(role, permissions) = 1),
    CONSTRAINT ck_grants_owner CHECK (((role = 'owner') IS TRUE) = (model_id IS NOT NULL))
);
-- Those that come along with a credential, without the models that somebody owns, which may be thousands.
CREATE INDEX ix_grants_principal_id ON registry.grants (principal_id) WHERE model_id IS NULL;
CREATE INDEX ix_grants_owner ON registry.grants (principal_id) WHERE model_id IS NOT NULL;
CREATE INDEX ix_grants_group_name ON registry.grants (group_name) WHERE group_name IS NOT NULL;
CREATE UNIQUE INDEX uq_grants_model_id ON registry.grants (model_id, principal_id) WHERE model_id IS NOT NULL;

ALTER TABLE registry.tokens
    ADD COLUMN models text[] CONSTRAINT ck_tokens_models CHECK (cardinality(models) > 0),
    ADD COLUMN stages text[] CONSTRAINT ck_tokens_stages CHECK (
        stages <@ ARRAY['None', 'Staging', 'Production', 'Archived'] AND cardinality(stages) > 0);
"""

CAPTURE = """
CREATE TRIGGER a_capture AFTER INSERT OR UPDATE OR DELETE ON registry.grants
    FOR EACH ROW EXECUTE FUNCTION audit.capture('grant', '', 'description');
ALTER TABLE registry.grants ENABLE ALWAYS TRIGGER a_capture;
CREATE TRIGGER guard_truncate BEFORE TRUNCATE ON registry.grants
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
ALTER TABLE registry.grants ENABLE ALWAYS TRIGGER guard_truncate;
ALTER TABLE registry.grants ALTER COLUMN description SET STATISTICS 0;
"""

AS_BEFORE = """
INSERT INTO registry.grants (principal_id, effect, role, created_by)
    SELECT DISTINCT ON (t.principal_id) t.principal_id, 'allow', t.role, 'migration:0012'
    FROM registry.tokens t
    WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
    ORDER BY t.principal_id, array_position(ARRAY['administrator', 'approver', 'contributor', 'viewer'], t.role);
"""


def upgrade() -> None:
    connection = op.get_bind().execution_options(no_parameters=True)
    for statements in (TABLES, CAPTURE, AS_BEFORE):
        connection.exec_driver_sql(statements)  # verbatim: op.execute() would read ':word' as a parameter

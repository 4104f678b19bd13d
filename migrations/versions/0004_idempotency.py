"""The answers kept for idempotency keys, so that a request sent twice is done once.

No part of the registry's state and of nobody's history, so not audited. Of a key only its digest is kept: callers put
all sorts of things into keys.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE registry.idempotency_keys (
    principal   text COLLATE "C" NOT NULL,
    key         bytea NOT NULL CONSTRAINT ck_idempotency_keys_key CHECK (octet_length(key) = 32),
    request     bytea NOT NULL CONSTRAINT ck_idempotency_keys_request CHECK (octet_length(request) = 32),
    status      integer NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (principal, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON registry.idempotency_keys (created_at);
"""


def upgrade() -> None:
    op.execute(TABLE)

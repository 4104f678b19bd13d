"""How often somebody failed to prove who they are, for as long as that counts against them.

UNLOGGED: every worker on every machine has to see the counts, but nothing is lost with them. After a crash they begin
anew, a standby has none, and counting costs no write-ahead log, which matters since anybody can cause it. `key` is a
digest: what somebody took for a token may be a password of theirs.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
# Older code counts nothing, and does not see this.
serves = "0010"

TABLE = """
CREATE UNLOGGED TABLE registry.failed_attempts (
    key         bytea CONSTRAINT pk_failed_attempts PRIMARY KEY
                CONSTRAINT ck_failed_attempts_key CHECK (octet_length(key) = 32),
    count       integer NOT NULL,
    expires_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX ix_failed_attempts_expires_at ON registry.failed_attempts (expires_at);
"""


def upgrade() -> None:
    op.execute(TABLE)

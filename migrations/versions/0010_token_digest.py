"""The digest of a token stays what it is: it is not in the log, so no event would say that it was changed.

Nobody shall read it there. Whoever could change it, as the service's own login could until now, would make somebody's
token his own: an administrator's, without an event, and unseen by the replay of the log against the tables.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
# No release ever changed a digest.
serves = "0009"


def upgrade() -> None:
    op.execute(
        "CREATE TRIGGER guard_digest BEFORE UPDATE ON registry.tokens FOR EACH ROW "
        "WHEN (OLD.digest IS DISTINCT FROM NEW.digest) EXECUTE FUNCTION audit.refuse()"
    )
    op.execute("ALTER TABLE registry.tokens ENABLE ALWAYS TRIGGER guard_digest")

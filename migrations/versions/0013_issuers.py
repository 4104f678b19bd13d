"""Principals that an issuer vouches for: known by what the issuer calls them, whatever they are called when shown.

Both columns are in the events of the log, so that a principal which was made somebody else's would show. A subject can
be somebody's address: like the name, it stands beside the line, which has its salted digest.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
# Older code makes principals without both columns, and lets nobody in whom an issuer vouches for.
serves = "0012"

COLUMNS = """
ALTER TABLE registry.principals
    ADD COLUMN issuer text COLLATE "C",
    ADD COLUMN subject text COLLATE "C",
    ADD CONSTRAINT uq_principals_issuer UNIQUE (issuer, subject),
    ADD CONSTRAINT ck_principals_subject CHECK (num_nulls(issuer, subject) <> 1);
"""
CAPTURE = """
CREATE OR REPLACE TRIGGER a_capture AFTER INSERT OR UPDATE OR DELETE ON registry.principals
    FOR EACH ROW EXECUTE FUNCTION audit.capture('principal', '', 'name,subject');
ALTER TABLE registry.principals ENABLE ALWAYS TRIGGER a_capture;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(CAPTURE)

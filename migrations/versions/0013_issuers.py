"""Principals that an issuer vouches for: known by what the issuer calls them, whatever they are called when shown.

Both columns are in the events of the log, so that a principal which was made somebody else's would show.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE registry.principals
    ADD COLUMN issuer text COLLATE "C",
    ADD COLUMN subject text COLLATE "C",
    ADD CONSTRAINT uq_principals_issuer UNIQUE (issuer, subject),
    ADD CONSTRAINT ck_principals_subject CHECK (num_nulls(issuer, subject) <> 1);
"""


def upgrade() -> None:
    op.execute(COLUMNS)

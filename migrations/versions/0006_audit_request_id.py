"""Find the audit events of one request without reading the whole log."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_event_request_id", "event", ["request_id", "at_us", "id"], schema="audit")

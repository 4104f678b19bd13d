"""${message}."""

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}
# From which revision on code works after this, while an update is under way: the one before if this only adds what
# older code does not touch. If older code would fail on it, say so.
serves = ${repr(down_revision)}


def upgrade() -> None:
    """Say here what changes for whom."""
    ${upgrades if upgrades else "op.execute(\"\")"}

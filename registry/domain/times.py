"""Times as people and programs read them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """A time as RFC 3339 has it, in UTC with a Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

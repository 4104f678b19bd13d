"""Two releases on one database: an upgrade leaves a note for instances of the release before, which still serve.

Each migration can say in `serves` from which revision on the code works on what it makes: its own if it says nothing.
One that only adds what older code does not touch says the one before. The highest that any migration said stands in a
comment of the version table, where code finds it that does not know the revision it meets.
"""

import re

NOTE = "SELECT obj_description(to_regclass('registry.alembic_version'), 'pg_class')"
WRITTEN = re.compile(r"(\w+) serves (\w+)")


def oldest_served(note: str | None, revision: str) -> str | None:
    """The revision from which on code works on a database at `revision`; None if its upgrade has not said so."""
    found = WRITTEN.fullmatch(note or "")
    return found[2] if found and found[1] == revision else None


def writing(note: str | None, revision: str, served: str) -> str:
    """How to write down that code from `served` on works after the migration, unless one before it asks for more."""
    before = WRITTEN.fullmatch(note or "")
    written = f"{revision} serves {max(served, before[2] if before else '')}"
    if not WRITTEN.fullmatch(written):
        raise ValueError(written)
    return f"COMMENT ON TABLE registry.alembic_version IS '{written}'"

"""What the capture triggers write, taken from what they do write: one story, told to a real database and rolled back.

The loader fills these lines in. A column that a migration adds to a table is then in the loaded events as well.
"""

import json
import re
from typing import Any

MARKS = {
    "987654321987": "%(model)d", "1987654321": "%(version)d", "876543210123": "%(seq)d", "765432101234": "%(at_us)d",
    "marked-name": "%(name)s", "marked-actor": "%(actor)s", "marked-request": "%(request)s",
    "marked-source": "%(source)s", "marked-run": "%(run)s", "marked-team": "%(team)s",
    "marked-framework": "%(framework)s", "marked-prev": "%(prev)s", "2001-02-03T04:05:06+00:00": "%(created)s",
}  # fmt: skip
"""What stands in the story, and what the loader puts there."""
STORY = """
SELECT set_config('app.actor', 'marked-actor', true), set_config('app.request_id', 'marked-request', true);
INSERT INTO registry.registered_models (id, name, description, created_at, updated_at, created_by) VALUES
    (987654321987, 'marked-name', 'words', '2001-02-03 04:05:06Z', now(), 'marked-actor');
INSERT INTO registry.registered_model_tags VALUES (987654321987, 'team', 'marked-team');
INSERT INTO registry.registered_model_tags VALUES (987654321987, 'framework', 'marked-framework');
INSERT INTO registry.model_versions (model_id, number, source, run_id, created_at, updated_at, created_by) VALUES
    (987654321987, 1987654321, 'marked-source', 'marked-run', '2001-02-03 04:05:06Z', now(), 'marked-actor');
UPDATE registry.model_versions SET stage = 'Staging' WHERE model_id = 987654321987;
UPDATE registry.model_versions SET stage = 'Production' WHERE model_id = 987654321987;
UPDATE registry.model_versions SET stage = 'Archived' WHERE model_id = 987654321987;
INSERT INTO registry.aliases (model_id, alias, number) VALUES (987654321987, 'champion', 1987654321);
INSERT INTO registry.model_version_tags VALUES (987654321987, 1987654321, 'validated', 'yes');
"""
LINES = "SELECT body FROM audit.event WHERE request_id = 'marked-request' ORDER BY id"
NAMES = ("model", "team", "framework", "version", "staging", "production", "archived", "alias", "tag")
"""What the loader calls the events of the story, in their order."""


def lines(cursor: Any, db_user: str) -> dict[str, str]:
    """Tell the story, as a superuser who has no transaction open, and return each event's line to be filled in."""
    cursor.execute(STORY)
    cursor.execute(LINES)
    told = [template(body, db_user) for (body,) in cursor.fetchall()]
    cursor.connection.rollback()
    return dict(zip(NAMES, told, strict=True))


def template(body: str, db_user: str) -> str:
    """Return a line with `%(…)` where events differ. Parsing and writing it again keeps it as the database has it."""
    event = json.loads(body) | {
        "seq": 876543210123, "at_us": 765432101234, "prev": "marked-prev", "db_user": db_user
    }  # fmt: skip
    line = json.dumps(event, ensure_ascii=False).replace("%", "%%")
    line = re.sub('"salted_sha256": "[0-9a-f]{64}"', '"salted_sha256": "%(digest)s"', line)
    for mark, place in MARKS.items():
        line = line.replace(mark, place)
    return line

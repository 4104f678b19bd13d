"""Events are changes: as many, the same, in the same order, whatever is rolled back in between.

Random statements on the captured tables, in transactions and savepoints that end in one way or the other; what is
expected is kept beside them. At the end the whole database is verified. A control with one trigger switched off shows
that the search can fail. Bounded, and the same in every run; for a longer search raise the numbers below.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import make_url

from tests.conftest import database
from tests.verification.registries import Registry, found_by

EXAMPLES, STEPS = 100, 25
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
IDS = itertools.count(1)
STAGES = st.sampled_from(["None", "Staging", "Production", "Archived"])
WORDS = st.sampled_from(["", "one", "two", "ä\n\"'\\", "long " * 400])
FEW = st.integers(1, 3)


class Change(NamedTuple):
    """What an event has to say: the action, the object, and which fields became what (None: not looked at)."""

    action: str
    object: str
    fields: frozenset[str]


class Rows(dict[tuple[Any, ...], dict[str, Any]]):
    """What the tables hold, by kind and key."""

    def copy(self) -> "Rows":
        return Rows({key: dict(row) for key, row in self.items()})


class Changes(RuleBasedStateMachine):
    """One connection, changing what it likes."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        plain = make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.connection = psycopg2.connect(plain)
        self.cursor = self.connection.cursor()
        self.model = next(IDS)
        self.last = self.ask("SELECT coalesce(max(id), 0) FROM audit.event")
        self.connection.rollback()
        self.rows, self.expected = Rows(), list[Change]()
        self.savepoints: list[tuple[Rows, int]] = []
        self.committed = Rows()
        self.begin()

    def ask(self, statement: str, *given: Any) -> Any:
        self.cursor.execute(statement, given)
        return self.cursor.fetchone()[0]  # type: ignore[index]

    def do(self, statement: str, *given: Any) -> None:
        self.cursor.execute(statement, given)

    def begin(self) -> None:
        self.do("SELECT set_config('app.actor', 'a', true), set_config('app.request_id', 'r', true)")

    def expect(self, action: str, where: str, *fields: str) -> None:
        self.expected.append(Change(action, f"model:{self.model}{where}", frozenset(fields)))

    @property
    def there(self) -> bool:
        return ("model",) in self.rows

    # Changes

    @initialize()
    def start(self) -> None:
        self.create_model("first words")

    @precondition(lambda self: not self.there)
    @rule(words=WORDS)
    def create_model(self, words: str) -> None:
        self.do(
            "INSERT INTO registry.registered_models "
            "(id, name, description, last_number, created_at, updated_at, created_by) "
            "VALUES (%s, %s, %s, 3, now(), now(), 'a')",
            self.model,
            f"m{self.model}",
            words or None,
        )
        self.rows["model",] = {"name": f"m{self.model}", "description": words or None, "deleted": False}
        given = ["description"] if words else []
        self.expect("registered_model.create", "", "id", "name", "created_at", "created_by", *given)

    @precondition(lambda self: self.there)
    @rule(words=WORDS)
    def describe(self, words: str) -> None:
        self.do(
            "UPDATE registry.registered_models SET description = %s, updated_at = now() WHERE id = %s",
            words or None,
            self.model,
        )
        row = self.rows["model",]
        if row["description"] != (words or None):
            self.expect("registered_model.describe", "", "description")
        row["description"] = words or None

    @precondition(lambda self: self.there)
    @rule(number=FEW)
    def rename(self, number: int) -> None:
        name = f"m{self.model}-{number}"
        self.do("UPDATE registry.registered_models SET name = %s WHERE id = %s", name, self.model)
        if self.rows["model",]["name"] != name:
            self.expect("registered_model.rename", "", "name")
        self.rows["model",]["name"] = name

    @precondition(lambda self: self.there)
    @rule()
    def delete_or_restore(self) -> None:
        gone = self.rows["model",]["deleted"] = not self.rows["model",]["deleted"]
        when = "clock_timestamp()" if gone else "NULL"
        self.do(f"UPDATE registry.registered_models SET deleted_at = {when} WHERE id = %s", self.model)
        self.expect(f"registered_model.{'delete' if gone else 'restore'}", "", "deleted_at")

    @precondition(lambda self: self.there)
    @rule(number=FEW)
    def touch(self, number: int) -> None:
        """What is not recorded changes alone: no event."""
        self.do(
            "UPDATE registry.registered_models SET updated_at = clock_timestamp(), last_number = 3 + %s WHERE id = %s",
            number,
            self.model,
        )

    @precondition(lambda self: self.there)
    @rule(number=FEW, stage=STAGES)
    def version(self, number: int, stage: str) -> None:
        """Made if it is not there, moved if it is."""
        row = self.rows.get(("version", number))
        if row is None:
            self.do(
                "INSERT INTO registry.model_versions "
                "(model_id, number, stage, source, created_at, updated_at, created_by) "
                "VALUES (%s, %s, %s, 's3://b/k', now(), now(), 'a')",
                self.model,
                number,
                stage,
            )
            fields = ("model_id", "number", "stage", "source", "run_id", "run_link", "created_at", "created_by")
            self.expect("model_version.create", f"/version:{number}", *fields)
        else:
            self.do(
                "UPDATE registry.model_versions SET stage = %s WHERE (model_id, number) = (%s, %s)",
                stage,
                self.model,
                number,
            )
            if row["stage"] != stage:
                self.expect("model_version.transition", f"/version:{number}", "stage")
        self.rows["version", number] = {"stage": stage}

    @precondition(lambda self: self.there)
    @rule(key=st.sampled_from(["k", "a/b", "tag:x"]), value=WORDS)
    def tag(self, key: str, value: str) -> None:
        self.do(
            "INSERT INTO registry.registered_model_tags VALUES (%s, %s, %s) "
            "ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
            self.model,
            key,
            value,
        )
        row = self.rows.get(("tag", key))
        if row is None or row["value"] != value:
            fields = ("model_id", "key", "value") if row is None else ("value",)
            self.expect("registered_model_tag.set", f"/tag:{key}", *fields)
        self.rows["tag", key] = {"value": value}

    @precondition(lambda self: self.there)
    @rule()
    def tag_many(self) -> None:
        """One statement, several rows, some of them there already."""
        self.do(
            "INSERT INTO registry.registered_model_tags SELECT %s, 'many-' || n, '' FROM generate_series(1, 5) n "
            "ON CONFLICT DO NOTHING",
            self.model,
        )
        for number in range(1, 6):
            if ("tag", f"many-{number}") not in self.rows:
                self.expect("registered_model_tag.set", f"/tag:many-{number}", "model_id", "key", "value")
                self.rows["tag", f"many-{number}"] = {"value": ""}

    @rule(key=st.sampled_from(["k", "a/b", "many-2", "many-5"]))
    def untag(self, key: str) -> None:
        self.do("DELETE FROM registry.registered_model_tags WHERE (model_id, key) = (%s, %s)", self.model, key)
        if self.rows.pop(("tag", key), None):
            self.expect("registered_model_tag.unset", f"/tag:{key}", "model_id", "key", "value")

    @rule(number=FEW)
    def alias(self, number: int) -> None:
        if ("version", number) not in self.rows:
            return
        self.do(
            "INSERT INTO registry.aliases VALUES (%s, 'champion', %s) "
            "ON CONFLICT (model_id, alias) DO UPDATE SET number = excluded.number",
            self.model,
            number,
        )
        row = self.rows.get(("alias",))
        if row is None or row["number"] != number:
            fields = ("model_id", "alias", "number") if row is None else ("number",)
            self.expect("alias.set", "/alias:champion", *fields)
        self.rows["alias",] = {"number": number}

    @rule()
    def unalias(self) -> None:
        self.do("DELETE FROM registry.aliases WHERE model_id = %s", self.model)
        if self.rows.pop(("alias",), None):
            self.expect("alias.unset", "/alias:champion", "model_id", "alias", "number")

    @precondition(lambda self: self.there)
    @rule(words=WORDS)
    def comment(self, words: str) -> None:
        number = self.ask(
            "INSERT INTO registry.comments (model_id, author, text, created_at, updated_at) "
            "VALUES (%s, 'a', %s, now(), now()) RETURNING id",
            self.model,
            words,
        )
        self.expect("comment.create", f"/comment:{number}", "id", "model_id", "author", "text", "created_at")
        self.rows["comment", number] = {"text": words}

    @rule()
    def uncomment(self) -> None:
        numbers = sorted(key[1] for key in self.rows if key[0] == "comment")
        self.do("DELETE FROM registry.comments WHERE id = ANY (%s)", numbers[:1])
        for number in numbers[:1]:
            del self.rows["comment", number]
            self.expect("comment.delete", f"/comment:{number}", "id", "model_id", "author", "text", "created_at")

    # What becomes of them

    @rule()
    def savepoint(self) -> None:
        self.do(f"SAVEPOINT s{len(self.savepoints)}")
        self.savepoints.append((self.rows.copy(), len(self.expected)))

    @precondition(lambda self: bool(self.savepoints))
    @rule()
    def roll_back_to_savepoint(self) -> None:
        self.rows, count = self.savepoints.pop()
        del self.expected[count:]
        self.do(f"ROLLBACK TO SAVEPOINT s{len(self.savepoints)}")

    @precondition(lambda self: bool(self.savepoints))
    @rule()
    def release(self) -> None:
        self.savepoints.pop()
        self.do(f"RELEASE SAVEPOINT s{len(self.savepoints)}")

    @rule()
    def refused(self) -> None:
        """A statement that fails, inside a savepoint."""
        self.do("SAVEPOINT failing")
        with pytest.raises(psycopg2.Error):
            self.do("INSERT INTO registry.registered_model_tags VALUES (-1, 'no', 'such model')")
            self.do("SET CONSTRAINTS ALL IMMEDIATE")
        self.do("ROLLBACK TO SAVEPOINT failing")

    @rule()
    def roll_back(self) -> None:
        self.connection.rollback()
        self.rows, self.expected, self.savepoints = self.committed.copy(), [], []
        self.begin()

    @rule()
    def commit(self) -> None:
        self.connection.commit()
        assert self.written() == self.expected
        self.committed, self.expected, self.savepoints = self.rows.copy(), [], []
        self.begin()

    def written(self) -> list[Change]:
        """What the log has that it had not before."""
        self.do("SELECT id, body FROM audit.event WHERE id > %s ORDER BY id", self.last)
        rows = self.cursor.fetchall()
        self.connection.commit()
        self.last = rows[-1][0] if rows else self.last
        lines = [json.loads(body) for _, body in rows]
        return [Change(line["action"], line["object"], frozenset(line["changes"])) for line in lines]

    def teardown(self) -> None:
        try:
            self.commit()
        finally:
            self.connection.close()


@pytest.fixture
def fresh(server_url: str, template_url: str, tmp_path: Path) -> Iterator[Registry]:
    with database(server_url, str(make_url(template_url).database)) as url:
        yield Registry(url, tmp_path / "sealer")


def machine_on(registry: Registry) -> type[Changes]:
    return type("ChangesThere", (Changes,), {"url": registry.url})


def test_events_are_the_changes_that_were_committed_in_their_order(fresh: Registry) -> None:
    run_state_machine_as_test(machine_on(fresh), settings=SETTINGS)
    fresh.seal()
    report = fresh.check()
    assert report.verified, report
    assert report.events > EXAMPLES


@pytest.mark.parametrize("table", ["registered_model_tags", "aliases"])
def test_with_one_trigger_off_the_search_and_the_replay_both_find_it(fresh: Registry, table: str) -> None:
    with fresh.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE registry.{table} DISABLE TRIGGER a_capture")
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine_on(fresh), settings=SETTINGS)
    fresh.seal()
    assert found_by(fresh.check()) == {"replay"}

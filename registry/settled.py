"""Statements that are settled before anybody asks: compiled once, prepared once on each connection, sent as they are.

SQLAlchemy builds these like all others. Only what it does around each execution, which takes several times as long as
to ask the database, is left out: rows come as the driver has them, and `read` makes objects of the tables from them.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from sqlalchemy import Executable, Select, event, inspect
from sqlalchemy.dialects.postgresql.psycopg2 import dialect
from sqlalchemy.orm.instrumentation import manager_of_class

from registry import prepared, telling

DIALECT = dialect()  # type: ignore[no-untyped-call]
UNOBSERVED = nullcontext()
MARK = "_as_read"
AS_READ = {MARK: True}
GUARDED: set[type[Any]] = set()
Row = tuple[Any, ...]


class Shape:
    """What the columns of a question are read as."""

    def __init__(self, question: Executable) -> None:
        self._kinds = kinds_of(question) if isinstance(question, Select) else ()
        self._plain = all(kind is None for kind in self._kinds)

    def read(self, row: Sequence[Any]) -> Sequence[Any]:
        """A row with an object of its table in the place of the columns of each; None where an outer join found none.

        Such an object belongs to no session: a change to it is none to the database.
        """
        if self._plain:
            return row
        read, at = [], 0
        for kind in self._kinds:
            if kind is None:
                read.append(row[at])
                at += 1
            else:
                end = at + len(kind.names)
                read.append(kind.made(row[at:end]))
                at = end
        return read


class Settled(Shape):
    """A statement whose parameters are all that differs from one time to the next."""

    def __init__(self, statement: Executable) -> None:
        super().__init__(statement)
        compiled = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
        if compiled.post_compile_params:
            raise ValueError("A parameter that stands for a list has no settled place; use an array.")
        self.text = str(compiled)
        self.given: dict[str, Any] = compiled.construct_params(_check=False)


class Kind:
    """How an object of a table is made from its columns. It is as it was read, and says so to whom changes it."""

    def __init__(self, table: type[Any], names: Sequence[str]) -> None:
        self.names = tuple(names)
        guard(table)
        self._new = manager_of_class(table).new_instance
        self._key = self.names.index(inspect(table).primary_key[0].key)

    def made(self, values: Sequence[Any]) -> Any:
        """The object; None where there is no such row."""
        if values[self._key] is None:
            return None
        made = self._new()
        made.__dict__.update(zip(self.names, values, strict=True), **AS_READ)
        return made


def guard(table: type[Any]) -> None:
    """Have a change to an object that no session knows refused: it would be none to the database, and silently."""
    if table in GUARDED:
        return
    GUARDED.add(table)
    for attribute in inspect(table).column_attrs:
        event.listen(getattr(table, attribute.key), "set", refuse)


def refuse(made: Any, *_: object) -> None:
    """:raises RuntimeError: it is as it was read."""
    if MARK in made.__dict__ and inspect(made).transient:
        raise RuntimeError("This object belongs to no session: change the row by a statement.")


def kinds_of(statement: Select[Any]) -> tuple[Kind | None, ...]:
    """What the columns of a question are read as, one after another; None for one that stays a value."""
    kinds: list[Kind | None] = []
    columns = [column.key for column in statement.selected_columns]
    at = 0
    for one in statement.column_descriptions:
        if one.get("entity") is None or one["expr"] is not one["entity"]:
            kinds.append(None)
            at += 1
            continue
        mapper = inspect(one["entity"]).mapper
        names = [attribute.key for attribute in mapper.column_attrs]
        if columns[at : at + len(names)] != names:
            raise ValueError(f"The columns of {mapper} do not stand in the order of its attributes.")
        kinds.append(Kind(mapper.class_, names))
        at += len(names)
    return tuple(kinds)


def ask(driver: Any, question: Settled, values: Mapping[str, Any]) -> list[Row]:
    """What a statement returns on this connection of the driver."""
    with driver.observed(question.text) if driver.observed else UNOBSERVED, driver.cursor() as cursor:
        cursor.execute(prepared.sent(driver, question.text), {**question.given, **values})
        rows: list[Row] = cursor.fetchall()
    return rows


def say(driver: Any, question: Settled, values: Mapping[str, Any]) -> None:
    """Have a statement sent along with the next one of this connection, before it. Nobody sees what it returns."""
    with driver.observed(question.text) if driver.observed else UNOBSERVED:
        telling.say(driver, prepared.sent(driver, question.text), {**question.given, **values})

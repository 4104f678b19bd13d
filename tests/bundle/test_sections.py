"""What a bundle has of the tables, and how its lines are written."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from registry.bundle import database
from registry.bundle.form import canonical
from registry.bundle.reading import read, verified
from registry.bundle.sections import LEFT_OUT, SECTIONS
from registry.tables import Base
from registry.verification.captured import CAPTURED
from registry.verification.compare import INTERVALS


def test_every_table_is_in_a_bundle_or_left_out_for_a_reason(empty_database_url: str) -> None:
    inside = {str(section.table) for section in SECTIONS.values()}
    assert inside | set(LEFT_OUT) == {str(table) for table in Base.metadata.sorted_tables}
    assert not inside & set(LEFT_OUT)
    assert all(LEFT_OUT.values())
    there = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('registry', 'audit')"
    with create_engine(empty_database_url, poolclass=NullPool).connect() as connection:
        assert inside | set(LEFT_OUT) | {"registry.alembic_version"} == set(connection.scalars(text(there)))


def test_every_captured_table_and_every_interval_is_in_it() -> None:
    assert {one.table for one in CAPTURED} | set(INTERVALS) <= set(SECTIONS)


def test_every_row_stands_behind_what_it_refers_to() -> None:
    order = list(SECTIONS)
    for place, section in enumerate(SECTIONS.values()):
        for key in section.table.foreign_keys:
            assert order.index(key.column.table.name) <= place


def test_every_sequence_is_known(empty_database_url: str) -> None:
    sequences = {database.sequence_of(section) for section in SECTIONS.values() if section.counts}
    there = "SELECT schemaname || '.' || sequencename FROM pg_sequences WHERE schemaname IN ('registry', 'audit')"
    with create_engine(empty_database_url, poolclass=NullPool).connect() as connection:
        assert sequences == set(connection.scalars(text(there)))


def test_all_of_it_is_in_the_bundle_of_a_registry_that_has_lived(bundle: bytes) -> None:
    assert {line.section.name for line in read(io.BytesIO(bundle), verified(io.BytesIO(bundle)))} == set(SECTIONS)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none() | st.lists(TEXTS), min_size=1))
def test_the_database_writes_json_as_we_do(server_url: str, values: list[object]) -> None:
    document = {f"c{number}": value for number, value in enumerate(values)}
    kinds = {str: "text", int: "bigint", bool: "boolean", type(None): "text", list: "text[]"}
    columns = ", ".join(f"CAST(:{name} AS {kinds[type(value)]}) AS {name}" for name, value in document.items())
    with database.connect(server_url, 5).connect() as connection:
        written = connection.scalar(text(f"SELECT row_to_json(r)::text FROM (SELECT {columns}) r"), document)
    assert written.encode() == canonical(document)
    assert json.loads(written) == document

"""What our own face lets be asked: which field takes which operator and value, and what a refusal says."""

from datetime import UTC, datetime

import pytest

from registry.domain import asking
from registry.domain.fields import MODELS, OPERATORS, VERSIONS
from registry.domain.filtering import And, Comparison, IsNull, Not, OrderKey
from registry.errors import Invalid
from registry.vocabulary import Stage


def test_a_filter_is_read_with_values_of_their_kinds() -> None:
    text = "creator = 'ada' AND version IN (1, 2) AND stage = 'None' AND created_at < '2026-01-01T01:00:00+01:00'"
    assert asking.version_filter(f"{text} AND NOT tags.k IS NULL") == And(
        (
            Comparison("created_by", None, "=", "ada"),
            Comparison("version", None, "IN", (1, 2)),
            Comparison("stage", None, "=", Stage.NONE),
            Comparison("created_at", None, "<", datetime(2026, 1, 1, tzinfo=UTC)),  # type: ignore[arg-type]
            Not(IsNull("tag", "k")),
        )
    )


MODEL_FIELDS = "name, description, created_by, created_at, updated_at, stage, alias or tag.<key>"
REFUSED_OF_MODELS = [
    ("an unknown field", "size = 1", f"There is no field 'size'. A filter may name {MODEL_FIELDS}."),
    ("a field of versions", "source = 's3://b'", f"There is no field 'source'. A filter may name {MODEL_FIELDS}."),
    ("MLflow's name of a field", "last_updated_timestamp > 1", "There is no field 'last_updated_timestamp'"),
    ("a tag without a key", "tag = 'a'", "There is no field 'tag'"),
    ("an internal column", "deleted_at IS NULL", "There is no field 'deleted_at'"),
    ("an order of descriptions", "description < 'a'", "with =, !=, LIKE, ILIKE, IN, NOT IN or IS NULL."),
    ("a stage like another", "stage LIKE 'P%'", "'stage' cannot be compared with LIKE, but with =, !=, IN, NOT IN or"),
    ("a list of times", "created_at IN ('2026-01-01T00:00:00Z')", "cannot be compared with IN, but with =, !=, <, <=,"),
    ("no name", "name IS NULL", "'name' always has a value. IS NULL and IS NOT NULL are for description, stage, alias"),
    ("a number as a name", "name = 5", "'name' is a text: write 5 in quotes."),
    ("a number as a tag", "tag.k IN ('a', 5)", "'tag.<key>' is a text: write 5 in quotes."),
    (
        "a stage in lower case",
        "stage = 'production'",
        "one of 'None', 'Staging', 'Production', 'Archived';",
    ),
    ("milliseconds", "created_at > 1700000000000", "a time in quotes, in RFC 3339 with its offset"),
    ("a day", "created_at > '2026-01-01'", "such as '2026-11-24T14:03:00Z'; '2026-01-01' is none."),
    ("a time without an offset", "created_at > '2026-01-01T00:00:00'", "a time in quotes, in RFC 3339"),
    ("a thirteenth month", "created_at > '2026-13-01T00:00:00Z'", "a time in quotes, in RFC 3339"),
    ("a time before all", "created_at > '0001-01-01T00:00:00+10:00'", "a time in quotes, in RFC 3339"),
    ("another calendar", "created_at > '2026-W01-1T00:00:00Z'", "a time in quotes, in RFC 3339"),
    ("half an escape", "name LIKE 'a\\'", "must not end with a single backslash"),
    ("a mistake deep inside", "name = 'a' OR NOT (name = 'b' AND size = 1)", "There is no field 'size'"),
    ("no filter", "name =", "it ends too early"),
    ("two filters", "name = 'a' name = 'b'", "unexpected 'name' at character 12"),
]


@pytest.mark.parametrize(("_", "text", "says"), REFUSED_OF_MODELS, ids=[name for name, *_ in REFUSED_OF_MODELS])
def test_a_filter_that_makes_no_sense_is_refused(_: str, text: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        asking.model_filter(text)
    assert says in caught.value.message
    assert caught.value.field == "filter"


@pytest.mark.parametrize("value", ["'1'", "1.0", "1e3", str(2**63), "9" * 400])
def test_a_version_is_a_whole_number(value: str) -> None:
    with pytest.raises(Invalid, match="'version' is a whole number, written without quotes"):
        asking.version_filter(f"version = {value}")


TIMES = ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-01-01 00:00:00+00:00", "2025-12-31T23:00:00.0-01:00"]


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_taken_as_rfc_3339_has_it(text: str) -> None:
    [at] = {getattr(asking.model_filter(f"updated_at = '{text}'"), "value", None)}
    assert at == datetime(2026, 1, 1, tzinfo=UTC)


def test_every_kind_has_operators_and_every_name_can_be_written() -> None:
    for field in (*MODELS.values(), *VERSIONS.values()):
        assert {"=", "!="} <= set(OPERATORS[field.kind])
    assert not any(field.sortable and field.may_be_null for field in (*MODELS.values(), *VERSIONS.values()))


# Orders.

BY_NAME, NEWEST = OrderKey("name"), OrderKey("created_at", descending=True)


@pytest.mark.parametrize(
    ("entries", "keys"),
    [
        ([], [BY_NAME]),
        (["name"], [BY_NAME]),
        (["created_at desc"], [NEWEST, OrderKey("name", descending=True)]),
        ([" created_at  DESC ,name ASC"], [NEWEST, BY_NAME]),
        (["created_at desc", "name"], [NEWEST, BY_NAME]),
    ],
)
def test_an_order_is_read_and_leaves_no_ties(entries: list[str], keys: list[OrderKey]) -> None:
    assert asking.model_order(entries) == keys


def test_versions_come_by_their_last_change_or_newest_first() -> None:
    down = [OrderKey(key, descending=True) for key in ("updated_at", "name", "version")]
    assert asking.version_order([]) == down
    assert asking.version_order_in_model([]) == [OrderKey("version", descending=True)]
    assert asking.version_order_in_model(["stage"]) == [OrderKey("stage"), OrderKey("version")]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("", "'order_by' cannot name '', but name, created_at or updated_at."),
        ("name,", "cannot name ''"),
        ("description", "cannot name 'description'"),
        ("tag.k", "cannot name 'tag.k'"),
        ("name upwards", "After 'name' in 'order_by' stands asc, desc or nothing, not 'upwards'."),
        ("name asc desc", "not 'asc desc'"),
        ("name, name desc", "names 'name' twice"),
        ("name; drop", "cannot name 'name;'"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(entry: str, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        asking.model_order([entry])
    assert says in caught.value.message
    assert caught.value.field == "order_by"

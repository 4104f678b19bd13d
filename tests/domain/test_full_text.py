"""Full text: which words are found where, and that no text which may be stored is too much for the index."""

import random
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, make_url, select, text
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import db, transaction
from registry.domain import (
    asking,
    comments,
    full_text,
    lookup,
    model_versions,
    names,
    registered_models,
    searching,
    tags,
    trash,
)
from registry.domain.access import OPERATOR
from registry.domain.searching import Search
from registry.errors import Invalid
from registry.tables import ModelVersion
from registry.vocabulary import Stage
from tests.conftest import application, database, superuser
from tests.factories import make_model, make_version, move, unique


@pytest.fixture(scope="module")
def furnished(server_url: str, template_url: str) -> Iterator[None]:
    with (
        database(server_url, str(make_url(template_url).database)) as url,
        application(Settings(database_url=url)) as app,
        app.app_context(),
    ):
        plant()
        yield


def plant() -> None:
    with transaction(OPERATOR) as session:
        registered_models.create(session, OPERATOR, "ChurnPredictionModel", description="Who leaves", tags={})
        model_versions.create(
            session, OPERATOR, "ChurnPredictionModel", source="s3://b/k", description="Gradient boosting", tags={}
        )
        model_versions.create(
            session, OPERATOR, "ChurnPredictionModel", source="s3://b/k", tags={"trained-by": "Ada Lovelace"}
        )
        registered_models.create(session, OPERATOR, "fraud_v2", tags={"costCentre": "Zürich/EU-west"})
        model_versions.create(session, OPERATOR, "fraud_v2", source="s3://b/k", tags={})
        comments.create(session, OPERATOR, "fraud_v2", None, "Looks like gradient descent, says the customer's CFO.")
        comments.create(session, OPERATOR, "fraud_v2", 1, "PyTorch 2.5; needs a GPU")
        registered_models.create(
            session, OPERATOR, "MyXGBoostModel", description="\uff26\uff35\uff2c\uff2c width, Cafe\u0301", tags={}
        )
        registered_models.create(session, OPERATOR, "漢字モデル", description="मॉडल", tags={})
        registered_models.create(session, OPERATOR, "gone", description="Gradient", tags={})
        model_versions.create(session, OPERATOR, "gone", source="s3://b/k", description="Gradient", tags={})
        registered_models.delete(session, OPERATOR, "gone")


CHURN, FRAUD, XGB, KANJI = "ChurnPredictionModel", "fraud_v2", "MyXGBoostModel", "漢字モデル"
OF_MODELS = [
    ("churn", [CHURN]),
    ("CHURN", [CHURN]),
    ("prediction", [CHURN]),
    ("pred mod", [CHURN]),
    ("churnpredict", [CHURN]),
    ("ChurnPrediction", [CHURN]),
    ("ediction", []),
    ("model", [CHURN, XGB]),
    ("who churn", [CHURN]),
    ("who fraud", []),
    ("fraud", [FRAUD]),
    ("fraud_v2", [FRAUD]),
    ("v2", [FRAUD]),
    ("cost", [FRAUD]),
    ("costcentre", [FRAUD]),
    ("zürich", [FRAUD]),
    ("ZÜRICH", [FRAUD]),
    ("west eu", [FRAUD]),
    ("gradient", [FRAUD]),
    ("customer", [FRAUD]),
    ("customer's", [FRAUD]),
    ("pytorch", []),
    ("xgboost", [XGB]),
    ("XGBoost", [XGB]),
    ("boost", [XGB]),
    ("full", [XGB]),
    ("caf\u00e9", [XGB]),
    ("cafe\u0301", [XGB]),
    ("漢字", [KANJI]),
    ("मॉडल", [KANJI]),
    ("leaves, who!", [CHURN]),
    ("no such words", []),
    ("c ch chu chur churn p pr pre pred predi m mo mod mode model", [CHURN]),
]


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(("words", "found"), OF_MODELS)
def test_models_by_words(words: str, found: list[str]) -> None:
    search = Search([], asking.model_order([]), words=full_text.words_of(words), total=True)
    page = searching.models(db.session(), OPERATOR, search)
    assert [detail.model.name for detail in page.items] == found
    assert page.total == len(found)


OF_VERSIONS = [
    ("gradient boost", [(CHURN, 1)]),
    ("gradient churn", [(CHURN, 1)]),
    ("churn", [(CHURN, 1), (CHURN, 2)]),
    ("leaves", []),
    ("trained", [(CHURN, 2)]),
    ("ada love", [(CHURN, 2)]),
    ("pytorch", [(FRAUD, 1)]),
    ("PyTorch", [(FRAUD, 1)]),
    ("torch gpu fraud", [(FRAUD, 1)]),
    ("descent", []),
    ("2.5", [(FRAUD, 1)]),
]


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(("words", "found"), OF_VERSIONS)
def test_versions_by_words(words: str, found: list[tuple[str, int]]) -> None:
    search = Search([], asking.version_order(["name", "version"]), words=full_text.words_of(words), total=True)
    page = searching.versions(db.session(), OPERATOR, search)
    assert [(version.model.name, version.number) for version in page.items] == found
    assert page.total == len(found)


# What is looked for.


def test_words_are_cut_at_everything_but_letters_and_digits() -> None:
    assert full_text.words_of("a-b_c.d/e  f\u2014g\u3000h 'i' \"j\" k&l:*|!(m)\\ a") == tuple("abcdefghijklm")


@pytest.mark.parametrize("nothing", ["", "  ", "-", "!?", "'", "\u2014", "\U0001f600"])
def test_a_text_without_a_word_is_refused(nothing: str) -> None:
    with pytest.raises(Invalid, match="has no word to look for") as caught:
        full_text.words_of(nothing)
    assert caught.value.field == "text"


def test_words_are_few_and_short() -> None:
    full_text.words_of(" ".join(f"w{number}" for number in range(16)) + " w1")
    full_text.words_of("\U00020000" * 200)
    with pytest.raises(Invalid, match="has 17 words, at most 16"):
        full_text.words_of(" ".join(f"w{number}" for number in range(17)))
    with pytest.raises(Invalid, match="more than 200 characters"):
        full_text.words_of("x" * 201)


def finds(session: Session, stored: str, word: str) -> bool:
    wanted = func.to_tsquery("simple", full_text.query(word))
    return bool(session.scalar(select(func.registry.lexemes(stored).bool_op("@@")(wanted))))


def test_any_word_finds_itself_and_begins_with_any_beginning(session: Session) -> None:
    chance = random.Random(1)
    letters = string.ascii_letters + string.digits + "éÜßñΩЖ漢字モम्\U00020000"
    for _ in range(500):
        word = "a" + "".join(chance.choices(letters, k=chance.randint(0, 12)))
        [whole] = full_text.words_of(word)
        assert finds(session, f"before, {word}!", whole), word
        assert finds(session, word, whole[: chance.randint(1, len(whole))]), word


CUT = text(
    "SELECT cardinality(tsvector_to_array(registry.lexemes(t))) FROM unnest(:texts) WITH ORDINALITY u(t, n) ORDER BY n"
)


def test_a_separator_here_is_one_in_the_database(session: Session) -> None:
    signs = [chr(number) for number in (*range(1, 0x250), *range(0x2000, 0x3040))]
    signs = [sign for sign in signs if not re.search("[A-Z]", unicodedata.normalize("NFKC", sign))]  # no humps
    texts = [f"1{sign}2" for sign in signs]
    for sign, given, found in zip(signs, texts, session.scalars(CUT, {"texts": texts}), strict=True):
        words = len(full_text.words_of(given))
        assert found == words if sign.isalnum() else found >= words, hex(ord(sign))


# What is stored.


def squares(number: int) -> str:
    """A word of squared words, each of which is several letters in one character."""
    return "\u3316\u3316" + "".join(chr(0x3300 + number // 80**place % 80) for place in range(3))


LONGEST = {
    "many words": " ".join(f"{number:x}" for number in range(25_000)),
    "wide characters": " ".join(chr(0x20000 + number % 40_000) for number in range(50_000)),
    "each becomes 18 characters": "\ufdfa" * 100_000,
    "each becomes up to six characters": " ".join(
        "\u3316\u3316" + "".join(chr(0x3300 + number // 80**place % 80) for place in range(3))
        for number in range(16_600)
    ),
    "a hump at every character": "aB" * 50_000,
    "one word": "\U00020000" * 100_000,
}


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("value", LONGEST.values(), ids=LONGEST.keys())
def test_the_longest_values_can_be_stored(value: str) -> None:
    name = make_model()
    number = make_version(name)
    with transaction(OPERATOR) as session:
        tags.set_on_model(session, OPERATOR, name, "k", value[: names.TAG_VALUE_MAX])
        tags.set_on_version(session, OPERATOR, name, number, "k", value[: names.TAG_VALUE_MAX])
        registered_models.describe(session, OPERATOR, name, value[: names.DESCRIPTION_MAX])
        model_versions.describe(session, OPERATOR, name, number, value[: names.DESCRIPTION_MAX])
        comments.create(session, OPERATOR, name, number, value[: names.COMMENT_MAX])
        registered_models.rename(session, OPERATOR, name, unique() + value[:200])


@pytest.mark.usefixtures("context")
def test_the_beginning_of_a_long_text_is_found_and_the_rest_is_not() -> None:
    first, last = unique("First").replace("-", ""), unique("Last").replace("-", "")
    name = make_model(k=f"{first} {'x' * 16_384} {last}")
    assert found_by(first) == [name]
    assert found_by(last) == []


@pytest.mark.parametrize("look", [full_text.in_model, full_text.in_version])
def test_words_are_looked_up_once_and_not_row_by_row(session: Session, look: Callable[[Any], Any]) -> None:
    """PostgreSQL asked again for each row, and ran into the timeout, where it knew nothing of the rows yet."""
    where = look(["risk", "ada"])
    question = select(ModelVersion.number).join(ModelVersion.model).where(where)
    compiled = question.compile(session.connection())
    plan = session.connection().exec_driver_sql(f"EXPLAIN {compiled}", compiled.params).scalars().all()
    assert any("CTE found" in line for line in plan), plan


@pytest.mark.usefixtures("context")
def test_words_go_with_their_texts_and_their_things() -> None:
    word = unique("Word").replace("-", "")
    name = make_model()
    number = make_version(name)
    with transaction(OPERATOR) as session:
        registered_models.describe(session, OPERATOR, name, f"say {word}")
        model_versions.describe(session, OPERATOR, name, number, f"say {word}")
        remark = comments.create(session, OPERATOR, name, None, f"say {word}").comment.id
    move(name, number, Stage.STAGING)
    assert (found_by(word), versions_found_by(word)) == ([name], [number])
    with transaction(OPERATOR) as session:
        registered_models.describe(session, OPERATOR, name, None)
    assert found_by(word) == [name]
    with transaction(OPERATOR) as session:
        comments.delete(session, OPERATOR, name, None, remark)
    assert found_by(word) == []
    with transaction(OPERATOR) as session:
        model_versions.delete(session, OPERATOR, name, number)
    assert versions_found_by(word) == []


@pytest.mark.usefixtures("context")
def test_words_of_a_model_follow_its_name_into_the_trash_and_back() -> None:
    first, second = (unique(word).replace("-", "") for word in ("First", "Second"))
    number = make_version(make_model(name=first))
    with transaction(OPERATOR) as session:
        registered_models.rename(session, OPERATOR, first, second)
    assert (found_by(first), versions_found_by(first)) == ([], [])
    assert (found_by(second), versions_found_by(second)) == ([second], [number])
    model_id = lookup.find_model(db.session(), second).id
    with transaction(OPERATOR) as session:
        registered_models.delete(session, OPERATOR, second)
    assert (found_by(second), kept_words(model_id)) == ([], None)
    with transaction(OPERATOR) as session:
        trash.restore_model(session, OPERATOR, model_id)
    assert (found_by(second), versions_found_by(second)) == ([second], [number])


@pytest.mark.usefixtures("context")
def test_a_change_under_a_model_leaves_its_words_as_they_lie() -> None:
    """To write the entries of the words anew with each of them was the dearest part of many changes."""
    name = make_model()
    model_id = lookup.find_model(db.session(), name).id
    before = kept_words(model_id)
    move(name, make_version(name), Stage.PRODUCTION)
    assert kept_words(model_id) == before is not None
    with transaction(OPERATOR) as session:
        registered_models.describe(session, OPERATOR, name, "words")
    assert kept_words(model_id) != before


def kept_words(model_id: int) -> str | None:
    """Where the words of a model lie: another place once they are written anew."""
    where = text("SELECT CAST(ctid AS text) FROM registry.model_words WHERE model_id = :model_id")
    found: str | None = db.session().scalar(where, {"model_id": model_id})
    return found


INDEXES = {
    full_text.in_model: {"ix_model_words_name"},
    full_text.in_version: {"ix_model_words_name", "ix_model_versions_words"},
}
MANY = """
    SELECT set_config('app.actor', 'test', true), set_config('app.request_id', 'test', true);
    INSERT INTO registry.registered_models (name, description, created_at, updated_at, created_by)
        SELECT 'filler ' || n, 'stuffing', now(), now(), 'test' FROM generate_series(1, 2000) n;
    INSERT INTO registry.model_versions (model_id, number, source, description, created_at, updated_at, created_by)
        SELECT id, 1, '', 'stuffing', now(), now(), 'test' FROM registry.registered_models WHERE name LIKE 'filler %';
    SELECT gin_clean_pending_list('registry.ix_model_words_name');
    SELECT gin_clean_pending_list('registry.ix_model_versions_words');
    ANALYZE registry.registered_models, registry.model_words, registry.model_versions;
    SET LOCAL enable_seqscan = off;
"""


@pytest.mark.usefixtures("furnished")
@pytest.mark.parametrize(("look", "indexes"), INDEXES.items(), ids=["models", "versions"])
def test_an_index_answers_for_names_and_descriptions(look: Callable[[Any], Any], indexes: set[str]) -> None:
    question = select(ModelVersion.number).join(ModelVersion.model).where(look(["risk"]))
    with superuser() as connection, connection.begin_nested() as change:
        connection.execution_options(no_parameters=True).exec_driver_sql(MANY)
        compiled = question.compile(connection)
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {compiled}", compiled.params).scalars())
        change.rollback()
    assert set(re.findall(r"Bitmap Index Scan on (\w+)", plan)) >= indexes, plan


def found_by(words: str) -> list[str]:
    search = Search([], asking.model_order([]), words=full_text.words_of(words))
    return [detail.model.name for detail in searching.models(db.session(), OPERATOR, search).items]


def versions_found_by(words: str) -> list[int]:
    search = Search([], asking.version_order([]), words=full_text.words_of(words))
    return [version.number for version in searching.versions(db.session(), OPERATOR, search).items]

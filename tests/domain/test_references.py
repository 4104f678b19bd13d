"""`models:/…` URIs: what they name, and the version they lead to, now and at every moment of one eventful history."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from bench.statements import counted
from registry.db import db, transaction
from registry.domain import aliases, model_versions, references, registered_models, stages, tenures
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Question, search
from registry.domain.principals import Actor
from registry.domain.references import Reference, Resolution
from registry.errors import (
    AliasNotFound,
    Invalid,
    ModelNotFound,
    NotFound,
    NoVersions,
    RegistryError,
    StageEmpty,
    VersionNotFound,
)
from registry.tables import AliasInterval, AuditEvent, NameInterval, RegisteredModel, StageInterval
from registry.vocabulary import Stage
from tests.conftest import superuser
from tests.factories import make_model, make_version, move, unique

NONE, STAGING, PRODUCTION, ARCHIVED = Stage
MICROSECOND = timedelta(microseconds=1)


def row(says: str, *values: object) -> Any:
    """One row of a table, called by what it says."""
    return pytest.param(*values, id=says)


def act(change: Callable[[Session], object], principal: Principal = OPERATOR) -> None:
    with transaction(principal) as session:
        change(session)


def resolve(uri: str, at: datetime | None = None) -> Resolution:
    return references.resolve(db.session(), OPERATOR, uri, at)


# What a URI names.

NAMED = [
    row("a number", "models:/N/3", Reference("N", number=3)),
    row("a number with zeros", "models:/N/003", Reference("N", number=3)),
    row("a number in another script", "models:/N/\u0663", Reference("N", number=3)),
    row("number 0, which no version has", "models:/N/0", Reference("N", number=0)),
    row("a stage", "models:/N/Production", Reference("N", stage=PRODUCTION)),
    row("a stage in small letters", "models:/N/staging", Reference("N", stage=STAGING)),
    row("a stage in capitals", "models:/N/ARCHIVED", Reference("N", stage=ARCHIVED)),
    row("the stage None", "models:/N/none", Reference("N", stage=NONE)),
    row("the latest", "models:/N/latest", Reference("N")),
    row("the latest in any letters", "models:/N/LaTeSt", Reference("N")),
    row("an alias", "models:/N@champion", Reference("N", alias="champion")),
    row("an alias in its own letters", "models:/N@Champion", Reference("N", alias="Champion")),
    row("the alias latest", "models:/N@latest", Reference("N")),
    row("the alias latest in capitals", "models:/N@LATEST", Reference("N")),
    row("an alias called like a stage", "models:/N@Production", Reference("N", alias="Production")),
    row("more slashes", "models:///N/3", Reference("N", number=3)),
    row("a name with a space", "models:/a b/1", Reference("a b", number=1)),
    row("a name with a newline", "models:/a\nb/1", Reference("a\nb", number=1)),
    row("a name with signs, which are not decoded", "models:/a%20b#?+/1", Reference("a%20b#?+", number=1)),
    row("a name called latest", "models:/latest/latest", Reference("latest")),
    row("a name of digits", "models:/12/3", Reference("12", number=3)),
    row("a name with an at sign", "models:/a@b/1", Reference("a@b", number=1)),
    row("an alias of a name with an at sign", "models:/a@b@champion", Reference("a@b", alias="champion")),
]


@pytest.mark.parametrize(("uri", "reference"), NAMED)
def test_a_uri_names(uri: str, reference: Reference) -> None:
    assert references.parse(uri) == reference


UNNAMED = [
    row("nothing", ""),
    row("no path", "models:/"),
    row("a name alone", "models:/N"),
    row("a logged model", "models:/m-" + "0" * 32),
    row("no slash", "models:N/1"),
    row("no number", "models:/N/"),
    row("no alias", "models:/N@"),
    row("no name", "models:/@champion"),
    row("too many parts", "models:/a/b/1"),
    row("a part behind an alias", "models:/N@champion/1/2"),
    row("a space first", " models:/N/1"),
    row("another scheme", "runs:/N/1"),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("uri", UNNAMED)
def test_a_uri_names_nothing_here(uri: str) -> None:
    assert references.parse(uri) is None
    with pytest.raises(Invalid) as refused:
        resolve(uri)
    assert refused.value.message.startswith(f"'{uri}' does not name a registered model version. Use models:/<name>/")


@pytest.mark.parametrize("suffix", ["v1", "1.0", "-1", "+1", "1 ", "1\n", " Production", "Prod", "\u00b2", "%31"])
def test_what_is_neither_number_nor_stage_is_refused(suffix: str) -> None:
    with pytest.raises(Invalid, match=re.escape(f"Invalid Model Version stage: {suffix}. Value must be one of None,")):
        references.parse(f"models:/N/{suffix}")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(Invalid, match="must be an integer"):
        references.parse("models:/N/" + "9" * 5_000)


# Where a URI leads, now.

MISSING = [
    row("a model that is not there", "models:/{unknown}/1", ModelNotFound),
    row("the latest of none", "models:/{unknown}/latest", ModelNotFound),
    row("the stage of none", "models:/{unknown}/Production", ModelNotFound),
    row("the alias of none", "models:/{unknown}@champion", ModelNotFound),
    row("a model in other letters", "models:/{shouted}/1", ModelNotFound),
    row("a version that is not there", "models:/{name}/2", VersionNotFound),
    row("version 0", "models:/{name}/0", VersionNotFound),
    row("a version beyond all numbers", "models:/{name}/" + str(2**31), VersionNotFound),
    row("a version far beyond", "models:/{name}/" + "9" * 100, VersionNotFound),
    row("an empty stage", "models:/{name}/Production", StageEmpty),
    row("an alias that is not set", "models:/{name}@champion", AliasNotFound),
    row("an alias in other letters", "models:/{name}@Set", AliasNotFound),
    row("the latest without versions", "models:/{bare}/latest", NoVersions),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("uri", "kind"), MISSING)
def test_who_is_led_nowhere_is_told_what_is_missing(uri: str, kind: type[RegistryError]) -> None:
    name, bare = make_model(), make_model()
    make_version(name)
    act(lambda s: aliases.set(s, OPERATOR, name, "set", 1))
    uri = uri.format(name=name, shouted=name.upper(), bare=bare, unknown=unique())
    with pytest.raises(kind):
        resolve(uri)
    reference = references.parse(uri)
    assert reference is not None
    if kind is not ModelNotFound or reference.number is None:
        with pytest.raises(kind):
            references.follow(db.session(), reference)


@pytest.mark.usefixtures("context")
def test_an_answer_tells_the_version_its_files_and_who_moved_it_when(steward: Principal) -> None:
    name = make_model()
    with transaction(OPERATOR) as session:
        model_versions.create(session, OPERATOR, name, source="s3://b/k", run_id="run-1", tags={})
    by_creation = resolve(f"models:/{name}/1")
    move(name, 1, STAGING, steward)
    act(lambda s: model_versions.describe(s, OPERATOR, name, 1, "words"))

    answer = resolve(f"models:/{name}/1")

    moved = last_event(name, 2)
    assert (answer.name, answer.version.number, answer.stage, answer.at) == (name, 1, STAGING, None)
    assert (answer.version.source, answer.version.run_id, answer.download_uri) == ("s3://b/k", "run-1", "s3://b/k")
    assert (answer.since, answer.by) == (moved, Actor(steward.id, steward.name))
    assert (by_creation.stage, by_creation.by) == (NONE, Actor(OPERATOR.id, OPERATOR.id))
    assert by_creation.since == answer.version.created_at


def last_event(name: str, back: int = 1) -> datetime:
    """When the last event of a model was, or the one `back` before the end."""
    return search(db.session(), OPERATOR, Question(model=name), limit=back).items[back - 1].at


@pytest.mark.usefixtures("context")
def test_the_files_of_a_copy_are_those_of_its_original() -> None:
    name, copy = make_model(), make_model()
    make_version(name, source="s3://b/original")
    make_version(copy, source=f"models:/{name}/1")
    answer = resolve(f"models:/{copy}/1")
    assert (answer.version.source, answer.download_uri) == (f"models:/{name}/1", "s3://b/original")


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("then", [False, True], ids=["now", "then"])
@pytest.mark.parametrize("suffix", ["/2", "/Production", "/latest", "@champion"])
def test_one_statement_answers_and_all_that_is_told_comes_with_it(suffix: str, *, then: bool) -> None:
    name = make_model(team="risk")
    for _ in range(5):
        make_version(name, stage=PRODUCTION, team="risk")
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 2))
    db.session.rollback()

    with counted() as sent:
        answer = resolve(f"models:/{name}{suffix}", datetime.now(UTC) if then else None)
        told = (answer.name, answer.version.source, answer.version.run_id, answer.download_uri, answer.since, answer.by)

    assert len(sent) == (2 if then else 1)  # the position of the event that an answer about the past rests on
    assert all(part is not None for part in told)


# Where a URI led, at each moment of a history.


@dataclass
class History:
    """One story of two models: the names N and M, and when each of its steps was taken."""

    names: dict[str, str]
    times: dict[str, datetime] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def step(self, says: str, model: str, change: Callable[[str], object]) -> None:
        change(self.names[model])
        self.times[says] = last_time_of_all()

    def moment(self, says: str) -> datetime | None:
        """The instant of a step, the last instant before it, or None for now."""
        when, _, step = says.partition(" ")
        if says == "now":
            return None
        return self.times[step] - MICROSECOND if when == "before" else self.times[step]

    def uri(self, short: str) -> str:
        return "models:/" + self.names[short[0]] + short[1:]


def last_time_of_all() -> datetime:
    at_us = db.session.scalars(select(AuditEvent.at_us).order_by(AuditEvent.id.desc()).limit(1)).one()
    return datetime(1970, 1, 1, tzinfo=UTC) + at_us * MICROSECOND


def live_id(name: str) -> int:
    return registered_models.get(db.session(), OPERATOR, name).model.id


def pointing(alias: str, number: int) -> Callable[[str], None]:
    return lambda name: act(lambda s: aliases.set(s, OPERATOR, name, alias, number))


def dropping(number: int) -> Callable[[str], None]:
    return lambda name: act(lambda s: model_versions.delete(s, OPERATOR, name, number))


def delete(name: str) -> None:
    act(lambda s: registered_models.delete(s, OPERATOR, name))


@pytest.fixture(scope="module")
def history(app: Flask) -> History:
    """N gets three versions and loses one, becomes M, and N is made anew; M loses its best, is deleted, made anew."""
    story = History({"N": unique("N"), "M": unique("M")})
    with app.app_context():
        tell(story)
    return story


def tell(story: History) -> None:
    story.step("N is made", "N", lambda name: make_model(name=name))
    story.ids["old"] = live_id(story.names["N"])
    story.step("1 is made", "N", make_version)
    story.step("1 is in Staging", "N", lambda name: move(name, 1, STAGING))
    story.step("1 is in Production", "N", lambda name: move(name, 1, PRODUCTION))
    story.step("champion is 1", "N", pointing("champion", 1))
    story.step("2 is made", "N", make_version)
    story.step("2 is in Production", "N", lambda name: move(name, 2, PRODUCTION, archive_others=True))
    story.step("champion is 2", "N", pointing("champion", 2))
    story.step("3 is made", "N", make_version)
    story.step("3 is deleted", "N", dropping(3))
    new = story.names["M"]
    story.step("N becomes M", "N", lambda name: act(lambda s: registered_models.rename(s, OPERATOR, name, new)))
    story.step("N is made anew", "N", lambda name: make_model(name=name))
    story.ids["new"] = live_id(story.names["N"])
    story.step("4 is made", "N", make_version)
    story.step("2 is deleted", "M", dropping(2))
    story.step("M is deleted", "M", delete)
    story.step("M is made anew", "M", lambda name: make_model(name=name))


LED = [
    # by number
    ("N/1", "before 1 is made", VersionNotFound),
    ("N/1", "at 1 is made", "1 None"),
    ("N/1", "before 1 is in Staging", "1 None"),
    ("N/1", "at 1 is in Staging", "1 Staging"),
    ("N/1", "before 1 is in Production", "1 Staging"),
    ("N/1", "at 1 is in Production", "1 Production"),
    ("N/1", "before 2 is in Production", "1 Production"),
    ("N/1", "at 2 is in Production", "1 Archived"),
    ("N/2", "before 2 is made", VersionNotFound),
    ("N/2", "at 2 is made", "2 None"),
    ("N/3", "before 3 is deleted", "3 None"),
    ("N/3", "at 3 is deleted", VersionNotFound),
    ("N/1", "before N becomes M", "1 Archived"),
    ("N/1", "at N becomes M", VersionNotFound),
    ("M/1", "before N becomes M", VersionNotFound),
    ("M/1", "at N becomes M", "1 Archived"),
    ("N/1", "at N is made anew", VersionNotFound),
    ("N/4", "before 4 is made", VersionNotFound),
    ("N/4", "at 4 is made", "4 None"),
    ("N/1", "at 4 is made", VersionNotFound),
    ("M/2", "before 2 is deleted", "2 Production"),
    ("M/2", "at 2 is deleted", VersionNotFound),
    ("M/1", "before M is deleted", "1 Archived"),
    ("M/1", "at M is deleted", VersionNotFound),
    ("M/1", "at M is made anew", VersionNotFound),
    ("N/4", "now", "4 None"),
    ("N/1", "now", VersionNotFound),
    ("M/1", "now", VersionNotFound),
    ("N/0", "at 1 is made", VersionNotFound),
    (f"N/{2**31}", "at 1 is made", VersionNotFound),
    # by stage, in several spellings
    ("N/Staging", "before 1 is in Staging", StageEmpty),
    ("N/staging", "at 1 is in Staging", "1 Staging"),
    ("N/STAGING", "before 1 is in Production", "1 Staging"),
    ("N/Staging", "at 1 is in Production", StageEmpty),
    ("N/Production", "before 1 is in Production", StageEmpty),
    ("N/production", "at 1 is in Production", "1 Production"),
    ("N/pRODUCTION", "before 2 is in Production", "1 Production"),
    ("N/Production", "at 2 is in Production", "2 Production"),
    ("N/Archived", "before 2 is in Production", StageEmpty),
    ("N/archived", "at 2 is in Production", "1 Archived"),
    ("N/None", "at 1 is made", "1 None"),
    ("N/none", "at 3 is made", "3 None"),
    ("N/None", "at 3 is deleted", StageEmpty),
    ("N/Production", "at N becomes M", StageEmpty),
    ("M/Production", "at N becomes M", "2 Production"),
    ("M/Production", "before 2 is deleted", "2 Production"),
    ("M/Production", "at 2 is deleted", StageEmpty),
    ("M/Archived", "before M is deleted", "1 Archived"),
    ("M/Archived", "at M is deleted", StageEmpty),
    ("N/None", "now", "4 None"),
    ("N/Production", "now", StageEmpty),
    ("M/Archived", "now", StageEmpty),
    # the latest
    ("N/latest", "before N is made", NoVersions),
    ("N/latest", "at N is made", NoVersions),
    ("N/latest", "at 1 is made", "1 None"),
    ("N/Latest", "before 2 is made", "1 Production"),
    ("N/LATEST", "at 2 is made", "2 None"),
    ("N@latest", "at 3 is made", "3 None"),
    ("N@LATEST", "before 3 is deleted", "3 None"),
    ("N/latest", "at 3 is deleted", "2 Production"),
    ("N/latest", "at N becomes M", NoVersions),
    ("N/latest", "at N is made anew", NoVersions),
    ("N/latest", "at 4 is made", "4 None"),
    ("M/latest", "at 2 is deleted", "1 Archived"),
    ("M/latest", "at M is made anew", NoVersions),
    ("N/latest", "now", "4 None"),
    ("M/latest", "now", NoVersions),
    # by alias
    ("N@champion", "before champion is 1", AliasNotFound),
    ("N@champion", "at champion is 1", "1 Production"),
    ("N@champion", "at 2 is in Production", "1 Archived"),
    ("N@champion", "before champion is 2", "1 Archived"),
    ("N@champion", "at champion is 2", "2 Production"),
    ("N@Champion", "at champion is 2", AliasNotFound),
    ("N@challenger", "at champion is 2", AliasNotFound),
    ("N@champion", "at N becomes M", AliasNotFound),
    ("M@champion", "at N becomes M", "2 Production"),
    ("M@champion", "before 2 is deleted", "2 Production"),
    ("M@champion", "at 2 is deleted", AliasNotFound),
    ("M@champion", "now", AliasNotFound),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("short", "moment", "led"), LED, ids=[f"{short} {moment}" for short, moment, _ in LED])
def test_a_reference_led(history: History, short: str, moment: str, led: str | type[RegistryError]) -> None:
    at = history.moment(moment)
    if isinstance(led, str):
        answer = resolve(history.uri(short), at)
        assert f"{answer.version.number} {answer.stage}" == led
        assert (answer.name, answer.at) == (history.names[short[0]], at)
    else:
        with pytest.raises(led) as refused:
            resolve(history.uri(short), at)
        assert type(refused.value) is led
        assert ("as of" in refused.value.message) == (at is not None)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("short", ["N/4", "N/none", "N/latest", "N@latest", "M/1", "M/archived", "M@champion"])
def test_following_and_resolving_agree_on_now(history: History, short: str) -> None:
    reference = references.parse(history.uri(short))
    assert reference is not None
    assert outcome(lambda: references.follow(db.session(), reference).number) == outcome(
        lambda: resolve(history.uri(short)).version.number
    )


def outcome(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except NotFound as refused:
        return type(refused)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_long_ago_there_was_nothing_and_far_ahead_all_is_as_now(history: History, at: datetime) -> None:
    asked = outcome(lambda: resolve(history.uri("N/latest"), at).version.number)
    assert asked == (NoVersions if at.year == 1970 else 4)


@pytest.mark.usefixtures("context")
def test_a_moment_is_the_same_in_every_time_zone(history: History) -> None:
    at = history.times["2 is in Production"]
    elsewhere = at.astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert resolve(history.uri("N/Production"), elsewhere).version.number == 2


SINCE = [
    ("N/1", "before 1 is in Production", "1 is in Staging"),
    ("N/1", "at N becomes M", None),
    ("M/1", "at N becomes M", "2 is in Production"),
    ("M@champion", "before 2 is deleted", "2 is in Production"),
    ("N/latest", "now", "4 is made"),
]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("short", "moment", "step"), SINCE)
def test_an_answer_tells_since_when(history: History, short: str, moment: str, step: str | None) -> None:
    ask = lambda: resolve(history.uri(short), history.moment(moment)).since  # noqa: E731
    assert outcome(ask) == (history.times[step] if step else VersionNotFound)


# The intervals that all this is read from.

TOLD = {
    "1 None": ("1 is made", "1 is in Staging"),
    "1 Staging": ("1 is in Staging", "1 is in Production"),
    "1 Production": ("1 is in Production", "2 is in Production"),
    "1 Archived": ("2 is in Production", None),
    "2 None": ("2 is made", "2 is in Production"),
    "2 Production": ("2 is in Production", "2 is deleted"),
    "3 None": ("3 is made", "3 is deleted"),
    "champion is 1": ("champion is 1", "champion is 2"),
    "champion is 2": ("champion is 2", "2 is deleted"),
    "called N": ("N is made", "N becomes M"),
    "called M": ("N becomes M", "M is deleted"),
}


@pytest.mark.usefixtures("context")
def test_the_intervals_tell_the_whole_story(history: History) -> None:
    called = {name: short for short, name in history.names.items()}
    found = {f"{each.number} {each.stage}": each for each in intervals(StageInterval, history)}
    found |= {f"{each.alias} is {each.number}": each for each in intervals(AliasInterval, history)}
    found |= {f"called {called[each.name]}": each for each in intervals(NameInterval, history)}
    steps: dict[datetime | None, str] = {time: step for step, time in history.times.items()}
    assert {says: (steps[each.since], steps.get(each.until)) for says, each in found.items()} == TOLD


def intervals(table: Any, history: History) -> list[Any]:
    return list(db.session.scalars(select(table).where(table.model_id == history.ids["old"])))


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("table", [StageInterval, AliasInterval, NameInterval])
def test_an_interval_names_the_events_that_opened_and_closed_it(history: History, table: Any) -> None:
    stream = f"model:{history.ids['old']}"
    rows = db.session.execute(select(AuditEvent.seq, AuditEvent.at_us).where(AuditEvent.stream == stream))
    times = {seq: datetime(1970, 1, 1, tzinfo=UTC) + at_us * MICROSECOND for seq, at_us in rows}
    for each in intervals(table, history):
        assert times[each.opened_seq] == each.since
        assert (each.closed_seq is None) == (each.until is None)
        assert each.closed_seq is None or times[each.closed_seq] == each.until


@pytest.mark.usefixtures("context")
def test_a_version_stands_in_one_stage_at_a_time_without_gaps(history: History) -> None:
    rows = sorted(intervals(StageInterval, history), key=lambda each: (each.number, each.since))
    for earlier, later in pairwise(rows):
        assert earlier.number < later.number or earlier.until == later.since


@pytest.mark.usefixtures("context")
def test_what_began_and_ended_in_one_transaction_never_was() -> None:
    name = make_model()
    make_version(name)
    with transaction(OPERATOR) as session:
        for stage in (STAGING, PRODUCTION, ARCHIVED):
            stages.transition(session, OPERATOR, name, 1, stage)
        for number in (1, make_second(session, name), 1):
            aliases.set(session, OPERATOR, name, "champion", number)
        session.flush()
        aliases.set(session, OPERATOR, name, "gone", 1)
        aliases.unset(session, OPERATOR, name, "gone")
    model_id = live_id(name)
    stood = select(StageInterval.stage).where(StageInterval.model_id == model_id, StageInterval.number == 1)
    pointed = select(AliasInterval.alias, AliasInterval.number).where(AliasInterval.model_id == model_id)
    assert db.session.scalars(stood.order_by(StageInterval.since)).all() == [NONE, ARCHIVED]
    assert [tuple(each) for each in db.session.execute(pointed)] == [("champion", 1)]


def make_second(session: Session, name: str) -> int:
    return model_versions.create(session, OPERATOR, name, source="s3://b/k", tags={}).number


# Every model has a clock of its own, and it never goes back, even when the machine's does.


@pytest.mark.usefixtures("context")
def test_where_two_clocks_differ_a_name_leads_to_the_model_that_took_it_last() -> None:
    name = make_model()
    make_version(name)
    move(name, 1, PRODUCTION)
    set_clock_ahead(name)
    act(lambda s: registered_models.rename(s, OPERATOR, name, unique()))
    make_model(name=name)
    made = make_version(name, stage=PRODUCTION)
    at = last_event(name) + MICROSECOND

    answers = [resolve(f"models:/{name}{suffix}", at) for suffix in ("/latest", "/Production", f"/{made}")]

    assert [answer.version.number for answer in answers] == [made] * 3
    assert [each.number for each in tenures.holders(db.session(), OPERATOR, name, PRODUCTION, at)] == [made]


def set_clock_ahead(name: str) -> None:
    """As if the clock had been an hour ahead at the last change of this model."""
    model_id = db.session.scalars(select(RegisteredModel.id).where(RegisteredModel.name == name)).one()
    with superuser() as connection:
        statement = "UPDATE audit.stream SET at_us = at_us + 3600000000 WHERE stream = :stream"
        connection.execute(text(statement), {"stream": f"model:{model_id}"})

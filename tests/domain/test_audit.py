"""The audit log: one changed row, one event, written by the database, chained, and never changed."""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from registry.config import Settings
from registry.db import db, transaction, unaudited
from registry.domain import (
    aliases,
    audit,
    comments,
    model_versions,
    registered_models,
    stages,
    tags,
    tokens,
)
from registry.domain.access import OPERATOR, Principal
from registry.domain.audit import Entry, Question
from registry.errors import Invalid, ModelNotFound
from registry.tables import AuditEvent, Base, PrivateText, RegisteredModel
from registry.vocabulary import Action, Role, Stage
from tests.conftest import application, superuser
from tests.domain.test_concurrency import held_by_a_writer
from tests.factories import make_model, make_version, move, unique

pytestmark = pytest.mark.usefixtures("context")

NOT_CAPTURED = {
    "registry.stage_intervals": "follows from the transitions, written by a trigger beside the capture",
    "registry.alias_intervals": "follows from the alias events",
    "registry.name_intervals": "follows from the renames",
    "registry.model_words": "follows from the names and descriptions, written by a trigger beside the capture",
    "registry.idempotency_keys": "answers kept for a day, so that a request sent again is not done again; no state",
    "registry.failed_attempts": "counts failed attempts for a minute; no state, and lost in a crash",
    "audit.event": "is the log",
    "audit.private": "belongs to the log",
    "audit.stream": "belongs to the log",
    "audit.pending": "the sealer's queue: what it holds stands in the log",
    "audit.seal": "belongs to the log",
    "audit.checkpoint": "belongs to the log",
    "audit.subtree": "follows from the positions and leaf hashes of audit.seal",
    "audit.sealer": "how the sealer is just now",
    "audit.noted": "counts what is noted of an actor in a minute; what is noted stands in the log",
    "registry.alembic_version": "the revision of the schema; that migrations change rows is captured where they do",
    "audit_guard.kept": "the guard's list of triggers, a superuser's",
}


def log(session: Session, name: str) -> list[Entry]:
    return audit.search(session, OPERATOR, Question(model=name), newest_first=False, limit=1000).items


def act(change: Callable[[Session], object], *, reason: str | None = None) -> None:
    with transaction(OPERATOR, reason=reason) as session:
        change(session)


def describe_and_touch(session: Session, name: str) -> None:
    comment = comments.create(session, OPERATOR, name, 1, "first words").comment
    comments.edit(session, OPERATOR, name, 1, comment.id, "second thoughts")
    session.flush()
    comments.delete(session, OPERATOR, name, 1, comment.id)


CHANGES: list[tuple[Action, Callable[[Session, str], object]]] = [
    (Action.MODEL_RENAME, lambda s, n: registered_models.rename(s, OPERATOR, n, n + "-new")),
    (Action.MODEL_DESCRIBE, lambda s, n: registered_models.describe(s, OPERATOR, n, "words")),
    (Action.MODEL_DELETE, lambda s, n: registered_models.delete(s, OPERATOR, n)),
    (Action.MODEL_TAG_SET, lambda s, n: tags.set_on_model(s, OPERATOR, n, "owner", "ada")),
    (Action.MODEL_TAG_UNSET, lambda s, n: tags.unset_on_model(s, OPERATOR, n, "team")),
    (Action.VERSION_CREATE, lambda s, n: model_versions.create(s, OPERATOR, n, source="s3://b/k", tags={})),
    (Action.VERSION_DESCRIBE, lambda s, n: model_versions.describe(s, OPERATOR, n, 1, "words")),
    (Action.VERSION_TRANSITION, lambda s, n: stages.transition(s, OPERATOR, n, 1, Stage.STAGING)),
    (Action.VERSION_DELETE, lambda s, n: model_versions.delete(s, OPERATOR, n, 2)),
    (Action.VERSION_TAG_SET, lambda s, n: tags.set_on_version(s, OPERATOR, n, 1, "owner", "ada")),
    (Action.VERSION_TAG_UNSET, lambda s, n: tags.unset_on_version(s, OPERATOR, n, 1, "team")),
    (Action.ALIAS_SET, lambda s, n: aliases.set(s, OPERATOR, n, "challenger", 2)),
    (Action.ALIAS_SET, lambda s, n: aliases.set(s, OPERATOR, n, "champion", 2)),
    (Action.ALIAS_UNSET, lambda s, n: aliases.unset(s, OPERATOR, n, "champion")),
    (Action.COMMENT_CREATE, lambda s, n: comments.create(s, OPERATOR, n, 1, "words")),
]


@pytest.mark.parametrize(("action", "change"), CHANGES, ids=[action for action, _ in CHANGES])
def test_each_change_leaves_exactly_its_event(
    session: Session, action: Action, change: Callable[[Session, str], object]
) -> None:
    name = make_model(team="risk")
    make_version(name, team="risk")
    make_version(name)
    act(lambda s: aliases.set(s, OPERATOR, name, "champion", 1))
    before = len(log(session, name))

    act(lambda s: change(s, name))

    [entry] = log(session, name)[before:]
    assert entry.event.action == action
    assert entry.changes


NO_CHANGE: list[Callable[[Session, str], object]] = [
    lambda s, n: registered_models.rename(s, OPERATOR, n, n),
    lambda s, n: registered_models.describe(s, OPERATOR, n, None),
    lambda s, n: tags.set_on_model(s, OPERATOR, n, "team", "risk"),
    lambda s, n: tags.unset_on_model(s, OPERATOR, n, "never-set"),
    lambda s, n: aliases.unset(s, OPERATOR, n, "never-set"),
    lambda s, n: stages.transition(s, OPERATOR, n, 1, Stage.NONE),
]


@pytest.mark.parametrize("change", NO_CHANGE)
def test_what_changes_nothing_leaves_no_event(session: Session, change: Callable[[Session, str], object]) -> None:
    name = make_model(team="risk")
    make_version(name)
    before = len(log(session, name))
    act(lambda s: change(s, name))
    assert len(log(session, name)) == before


def test_comments_leave_what_they_said_before_and_after(session: Session) -> None:
    name = make_model()
    make_version(name)
    act(lambda s: describe_and_touch(s, name))
    created, edited, deleted = log(session, name)[-3:]
    assert created.changes["text"] == [None, "first words"]
    assert edited.changes == {"text": ["first words", "second thoughts"]}
    assert deleted.changes["text"] == ["second thoughts", None]
    actions = [entry.event.action for entry in (created, edited, deleted)]
    assert actions == [Action.COMMENT_CREATE, Action.COMMENT_EDIT, Action.COMMENT_DELETE]


def test_tokens_and_principals_have_events_of_their_own(session: Session) -> None:
    name = unique("robot")
    act(lambda s: tokens.revoke(s, OPERATOR, tokens.create(s, OPERATOR, name=name, role=Role.VIEWER).id))
    issued = tokens.search(session, OPERATOR, limit=10_000).items[-1]
    found = session.scalars(select(AuditEvent.action).where(AuditEvent.object == f"token:{issued.id}"))
    assert set(found) == {Action.TOKEN_CREATE, Action.TOKEN_REVOKE}
    people = audit.search(session, OPERATOR, Question(action=Action.PRINCIPAL_CREATE), limit=1000).items
    assert any(entry.changes.get("name") == [None, name] for entry in people)


def test_what_is_kept_of_a_token_is_in_no_line_of_the_log(session: Session) -> None:
    with transaction(OPERATOR) as change:
        issued = tokens.create(change, OPERATOR, name=unique("robot"), role=Role.VIEWER)
    [line] = session.scalars(select(AuditEvent.body).where(AuditEvent.object == f"token:{issued.id}"))
    assert tokens.digest(issued.secret).hex() not in line
    assert issued.secret not in line


def test_every_action_of_the_log_is_in_the_vocabulary(session: Session) -> None:
    assert set(session.scalars(select(AuditEvent.action).distinct())) <= set(Action)


def test_an_event_tells_who_what_when_why(session: Session, steward: Principal) -> None:
    name = make_model()
    make_version(name)
    with transaction(steward, reason="passed the gate", request_id="r-1") as change:
        stages.transition(change, steward, name, 1, Stage.PRODUCTION)

    entry = log(session, name)[-1]

    assert (entry.actor.id, entry.actor.name) == (steward.id, steward.name)
    assert entry.line["credential"] == steward.credential != ""
    assert (entry.line["model"], entry.event.number) == (name, 1)
    assert entry.changes == {"stage": ["None", "Production"]}
    assert (entry.reason, entry.event.request_id) == ("passed the gate", "r-1")


def test_an_event_keeps_the_name_of_its_time(session: Session) -> None:
    name = make_model()
    make_version(name)
    act(lambda s: registered_models.rename(s, OPERATOR, name, name + "-later"))
    created, _, renamed = log(session, name + "-later")
    assert created.line["model"] == name
    assert renamed.changes == {"name": [name, name + "-later"]}
    assert [e.event.id for e in log(session, name)] == [e.event.id for e in log(session, name + "-later")]


def test_streams_are_dense_and_chained_and_the_line_is_what_is_hashed(session: Session) -> None:
    name = make_model(team='é 漢 \U0001f600 "quoted"\nline')
    for _ in range(3):
        make_version(name, stage=Stage.PRODUCTION)
    entries = log(session, name)
    assert [entry.event.seq for entry in entries] == list(range(1, len(entries) + 1))
    previous = ""
    for entry in entries:
        body = entry.event.body
        assert "\n" not in body
        assert json.loads(body)["prev"] == previous
        assert hashlib.sha256(b"\x00" + body.encode()).digest() == entry.event.hash
        previous = entry.event.hash.hex()
    with superuser() as connection:
        head = connection.execute(
            text("SELECT seq, encode(head, 'hex') FROM audit.stream WHERE stream = :stream"),
            {"stream": entries[0].event.stream},
        ).one()
    assert tuple(head) == (len(entries), previous)


def test_time_never_goes_back_even_when_the_clock_does(session: Session) -> None:
    name = make_model()
    stream = log(session, name)[0].event.stream
    with superuser() as ahead:  # as if the clock had been an hour ahead at the last event
        ahead.execute(
            text("UPDATE audit.stream SET at_us = at_us + 3600000000 WHERE stream = :stream"), {"stream": stream}
        )
    make_version(name)
    make_version(name)
    times = [entry.at for entry in log(session, name)]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[-1] - times[0] >= timedelta(hours=1)


def test_the_clock_is_read_when_a_change_has_its_turn_not_when_its_transaction_began(session: Session) -> None:
    name = make_model()
    with transaction(OPERATOR) as change:
        change.execute(text("SELECT 1"))
        with db.engine.connect() as bystander:
            meanwhile = bystander.scalar(text("SELECT clock_timestamp()"))
        registered_models.describe(change, OPERATOR, name, "later than that")
    assert log(session, name)[-1].at > meanwhile


def test_times_in_a_line_are_in_utc_whatever_the_session_thinks(session: Session) -> None:
    name = make_model()
    with transaction(OPERATOR) as change:
        change.execute(text("SET LOCAL timezone = 'Asia/Tokyo'"))
        model_versions.create(change, OPERATOR, name, source="s3://b/k", tags={})
        change.flush()
    assert log(session, name)[-1].changes["created_at"][1].endswith("+00:00")


def test_no_two_events_have_one_place_in_a_stream(session: Session) -> None:
    make_model()
    with pytest.raises(DBAPIError, match="uq_event_stream"), superuser() as connection:
        columns = "body, hash, stream, seq, at_us, actor, action, object, request_id"
        connection.execute(text(f"INSERT INTO audit.event ({columns}) SELECT {columns} FROM audit.event LIMIT 1"))


FORBIDDEN = [
    "UPDATE audit.event SET body = body",
    "DELETE FROM audit.event",
    "TRUNCATE audit.event CASCADE",
    "UPDATE audit.private SET content = ''",
    "DELETE FROM audit.private",
    "TRUNCATE audit.private",
    "TRUNCATE audit.stream",
    "MERGE INTO audit.event e USING (SELECT 1) x ON true WHEN MATCHED THEN DELETE",
    *(f"TRUNCATE registry.{table} CASCADE" for table in ("registered_models", "model_versions", "comments", "aliases")),
]


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_log_refuses_to_be_changed(session: Session, statement: str, role: str) -> None:
    make_model()
    act(lambda s: registered_models.describe(s, OPERATOR, make_named(s), "kept apart"))
    count = session.scalar(text("SELECT count(*) FROM audit.event"))
    session.rollback()
    with pytest.raises(DBAPIError, match="is append-only"), superuser() as connection:
        connection.execute(text(f"SET LOCAL session_replication_role = {role}"))
        connection.execute(text(statement))
    assert session.scalar(text("SELECT count(*) FROM audit.event")) == count


def make_named(session: Session) -> str:
    name = unique()
    registered_models.create(session, OPERATOR, name, tags={})
    return name


@pytest.mark.parametrize("missing", ["app.actor", "app.request_id"])
def test_a_write_without_actor_or_request_id_fails(session: Session, missing: str) -> None:
    name = make_model()
    model = session.scalars(select(RegisteredModel).where(RegisteredModel.name == name)).one()
    with pytest.raises(DBAPIError, match="needs an actor and a request id"), transaction(OPERATOR) as change:
        change.execute(text("SELECT set_config(:name, '', true)"), {"name": missing})
        change.execute(text("UPDATE registry.registered_models SET description = 'x' WHERE id = :id"), {"id": model.id})
    session.expire_all()
    assert model.description is None


def test_the_context_does_not_leak_into_the_next_transaction(session: Session) -> None:
    name = make_model()
    with pytest.raises(DBAPIError, match="needs an actor"), unaudited() as next_one:
        next_one.execute(text("UPDATE registry.registered_models SET description = 'x' WHERE name = :n"), {"n": name})


def head_of(session: Session, stream: str) -> tuple[str, str]:
    """Where the head of a stream lies, and where the database was told that one lies."""
    question = text("SELECT ctid::text, current_setting('audit.tip') FROM audit.stream WHERE stream = :stream")
    place, told = session.execute(question, {"stream": stream}).one()
    return place, told


def test_the_head_of_a_stream_is_found_by_where_it_lies(session: Session, database_url: str) -> None:
    name = make_model()
    stream = log(session, name)[0].event.stream
    as_superuser = application(Settings(database_url=database_url))  # nobody else sees where it lies
    with as_superuser as other, other.app_context(), transaction(OPERATOR) as change:
        for value in map(str, range(100)):
            tags.set_on_model(change, OPERATOR, name, "k", value)
            place, told = head_of(change, stream)
            assert place == told
    session.rollback()
    assert [entry.event.seq for entry in log(session, name)] == list(range(1, 102))


@pytest.mark.parametrize("hint", ["(0,1)", "(0,2)", "(4000000000,1)", ""])
def test_a_wrong_word_of_where_a_head_lies_breaks_no_chain(session: Session, hint: str) -> None:
    name, other = make_model(), make_model()
    with transaction(OPERATOR) as change:
        for value in map(str, range(4)):
            change.execute(text("SELECT set_config('audit.tip', :hint, true)"), {"hint": hint})
            tags.set_on_model(change, OPERATOR, name, "k", value)
            tags.set_on_model(change, OPERATOR, other, "k", value)
    for model in (name, other):
        events = [entry.event for entry in log(session, model)]
        assert [event.seq for event in events] == [1, 2, 3, 4, 5]
        for earlier, later in pairwise(events):
            assert json.loads(later.body)["prev"] == earlier.hash.hex()


def test_what_is_rolled_back_leaves_nothing(session: Session) -> None:
    name = make_model()
    before = len(log(session, name))
    with pytest.raises(RuntimeError, match="on the way"), transaction(OPERATOR) as change:
        model_versions.create(change, OPERATOR, name, source="s3://b/k", tags={})
        raise RuntimeError("on the way")
    assert len(log(session, name)) == before
    assert make_version(name) == 1


def test_erasable_and_long_texts_are_kept_apart_with_a_salted_digest(session: Session) -> None:
    name = make_model(long="x" * 5000, short="x")
    act(lambda s: registered_models.describe(s, OPERATOR, name, "about a person"), reason="asked to")
    everything = log(session, name)
    for entry in everything:
        assert len(entry.event.body) < 2000
        assert "about a person" not in entry.event.body
        assert "asked to" not in entry.event.body
        for kept in session.scalars(select(PrivateText).where(PrivateText.event_id == entry.event.id)):
            digest = hashlib.sha256(kept.salt + kept.content.encode()).hexdigest()
            assert len(kept.salt) == 32
            assert digest in entry.event.body
    shown = {entry.event.action: entry for entry in everything}
    assert shown[Action.MODEL_DESCRIBE].changes == {"description": [None, "about a person"]}
    assert shown[Action.MODEL_DESCRIBE].reason == "asked to"
    values = [e.changes["value"][1] for e in everything if e.event.action == Action.MODEL_TAG_SET]
    assert sorted(values) == ["x", "x" * 5000]


def test_the_same_words_have_another_digest_each_time(session: Session) -> None:
    """Otherwise what was erased could be found again, by a list of the digests of likely texts."""
    for name in (make_model(), make_model()):
        act(lambda s, n=name: registered_models.describe(s, OPERATOR, n, "ok, ship it"), reason="ok, ship it")  # type: ignore[misc]
    kept = session.scalars(select(PrivateText).where(PrivateText.content == "ok, ship it")).all()
    assert len(kept) == len({text.salt for text in kept}) == 4


ERASABLE: list[Callable[[Session, str, str], object]] = [
    lambda s, n, words: registered_models.describe(s, OPERATOR, n, words),
    lambda s, n, words: model_versions.describe(s, OPERATOR, n, 1, words),
    lambda s, n, words: comments.create(s, OPERATOR, n, 1, words),
    lambda s, n, words: tokens.create(s, OPERATOR, name=words, role=Role.VIEWER, description=words),
]


@pytest.mark.parametrize("write", ERASABLE)
def test_what_people_write_is_in_no_line_of_the_log(
    session: Session, write: Callable[[Session, str, str], object]
) -> None:
    name, words = make_model(), unique("personal words ")
    make_version(name)
    act(lambda s: write(s, name, words))
    assert session.scalar(select(PrivateText.event_id).where(PrivateText.content == words).limit(1))
    assert session.scalar(select(AuditEvent.id).where(AuditEvent.body.contains(words))) is None


def test_every_table_is_captured_or_stands_on_the_list(session: Session) -> None:
    captured = set(
        session.scalars(
            text("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'a_capture' AND tgenabled = 'A'")
        )
    )
    ours = "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    there = set(session.scalars(text(f"SELECT schemaname || '.' || tablename FROM pg_tables {ours}")))
    assert there == captured | NOT_CAPTURED.keys()
    assert not captured & NOT_CAPTURED.keys()
    assert {table.fullname for table in Base.metadata.tables.values()} <= there


def test_all_guards_fire_in_every_replication_role(session: Session) -> None:
    weak = session.scalars(
        text(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'A' "
            "AND tgrelid::regclass::text ~ '^(registry|audit)'"
        )
    )
    assert list(weak) == []


def test_the_functions_that_write_events_cannot_be_called_by_others(session: Session) -> None:
    open_to_all = session.scalars(
        text(
            "SELECT proname FROM pg_proc WHERE pronamespace IN ('audit'::regnamespace, 'registry'::regnamespace) "
            "AND prosecdef AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))"
        )
    )
    assert list(open_to_all) == []


def test_functions_with_rights_pin_their_search_path(session: Session) -> None:
    loose = session.scalars(
        text(
            "SELECT proname FROM pg_proc WHERE pronamespace IN ('audit'::regnamespace, 'registry'::regnamespace) "
            "AND NOT coalesce(proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']"
        )
    )
    assert list(loose) == []


def test_search_by_each_filter_and_both_orders(session: Session, steward: Principal) -> None:
    name, other = make_model(steward), make_model()
    make_version(name, steward)
    move(name, 1, Stage.STAGING)
    make_version(name)
    move(name, 1, Stage.PRODUCTION, steward)
    make_version(other)
    all_of_it = log(session, name)

    def ask(**filters: object) -> list[int]:
        question = Question(model=name, **filters)  # type: ignore[arg-type]
        found = audit.search(session, OPERATOR, question, newest_first=False).items
        return [all_of_it.index(entry) for entry in found]

    assert [entry.event.action for entry in all_of_it] == [
        Action.MODEL_CREATE,
        Action.GRANT_CREATE,
        Action.VERSION_CREATE,
        Action.VERSION_TRANSITION,
        Action.VERSION_CREATE,
        Action.VERSION_TRANSITION,
    ]
    assert ask(number=1) == [2, 3, 5]
    assert ask(actor=steward.name) == ask(actor=steward.id) == [0, 1, 2, 5]
    assert ask(action=Action.VERSION_TRANSITION) == [3, 5]
    assert ask(since=all_of_it[3].at) == [3, 4, 5]
    assert ask(until=all_of_it[3].at) == [0, 1, 2]
    newest = audit.search(session, OPERATOR, Question(model=name)).items
    assert [all_of_it.index(entry) for entry in newest] == [5, 4, 3, 2, 1, 0]


def test_the_events_of_one_request_are_found(session: Session) -> None:
    name, other = make_model(), make_model()
    request_id = unique("request")
    for model in (name, other):
        with transaction(OPERATOR, request_id=request_id) as change:
            model_versions.create(change, OPERATOR, model, source="s3://b/k", tags={"a": "1"})
    found = audit.search(session, OPERATOR, Question(request_id=request_id), newest_first=False).items
    assert [entry.line["model"] for entry in found] == [name, name, other, other]
    of_one = audit.search(session, OPERATOR, Question(model=other, request_id=request_id)).items
    assert [entry.line["model"] for entry in of_one] == [other, other]


class Follower:
    """Somebody who follows the log: asks again from a minute before the last event, and leaves out what is known.

    Before now at the latest: where the clock was put back, the last event of some model may lie in the future.
    """

    OVERLAP = timedelta(seconds=60)

    def __init__(self, start: datetime) -> None:
        self.last = start
        self.known: set[tuple[str, int]] = set()

    def poll(self, session: Session) -> list[Entry]:
        """The events that are new."""
        start = min(self.last, datetime.now(UTC)) - self.OVERLAP
        new = [entry for entry in since(session, start) if self.key(entry) not in self.known]
        self.known |= {self.key(entry) for entry in new}
        self.last = max([self.last, *(entry.at for entry in new)])
        return new

    @staticmethod
    def key(entry: Entry) -> tuple[str, int]:
        return entry.event.stream, entry.event.seq


def since(session: Session, moment: datetime) -> Iterator[Entry]:
    """All events from a moment on, oldest first, page by page."""
    session.rollback()
    token = None
    while True:
        question = Question(since=moment)
        page = audit.search(session, OPERATOR, question, newest_first=False, limit=50, token=token)
        yield from page.items
        token = page.next_token
        if token is None:
            return


def test_who_follows_with_an_overlap_sees_also_what_was_committed_late_and_nothing_twice(
    app: Flask, session: Session
) -> None:
    slow, busy = make_model(), make_model()
    make_version(busy)
    follower = Follower(log(session, busy)[-1].at)
    follower.poll(session)
    with held_by_a_writer(app, slow):  # its event has its time already, but nobody sees it yet
        seen = []
        for stage in (Stage.STAGING, Stage.PRODUCTION, Stage.STAGING):
            move(busy, 1, stage)
            seen += follower.poll(session)
    [late] = follower.poll(session)

    assert [entry.changes["stage"][1] for entry in seen] == ["Staging", "Production", "Staging"]
    assert (late.line["model"], late.event.action) == (slow, Action.COMMENT_CREATE)
    assert late.at < seen[0].at, "who goes on from the last event alone would have missed it"
    assert follower.poll(session) == []


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("size", [1, 2, 5, 7])
def test_pages_show_every_event_once(session: Session, size: int, newest_first: bool) -> None:
    name = make_model()
    for _ in range(3):
        make_version(name, stage=Stage.STAGING)
    seen: list[int] = []
    token = None
    while True:
        page = audit.search(session, OPERATOR, Question(model=name), newest_first=newest_first, limit=size, token=token)
        seen += [entry.event.seq for entry in page.items]
        token = page.next_token
        if token is None:
            break
    assert seen == (list(range(7, 0, -1)) if newest_first else list(range(1, 8)))


def test_a_token_belongs_to_its_question(session: Session) -> None:
    name = make_model()
    make_version(name)
    token = audit.search(session, OPERATOR, Question(model=name), limit=1).next_token
    with pytest.raises(Invalid, match="another filter or order"):
        audit.search(session, OPERATOR, Question(model=name), newest_first=False, token=token)


def test_a_name_that_never_was_is_said_so(session: Session) -> None:
    with pytest.raises(ModelNotFound):
        audit.search(session, OPERATOR, Question(model=unique()))


def test_the_log_remembers_what_was_deleted(session: Session) -> None:
    name = make_model()
    act(lambda s: model_versions.create(s, OPERATOR, name, source="s3://b/gone", run_id="run-1", tags={}))
    act(lambda s: model_versions.delete(s, OPERATOR, name, 1))
    act(lambda s: registered_models.delete(s, OPERATOR, name))
    created = next(e for e in log(session, name) if e.event.action == Action.VERSION_CREATE)
    assert created.changes["source"] == [None, "s3://b/gone"]
    assert created.changes["run_id"] == [None, "run-1"]
    assert db.session.scalar(select(RegisteredModel.deleted_at).where(RegisteredModel.name == name)) is not None

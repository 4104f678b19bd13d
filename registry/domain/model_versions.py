"""Model versions: the builds of a registered model, numbered by the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NotRequired, TypedDict, cast

from sqlalchemy import BigInteger, Insert, Integer, Table, bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Session

from registry.db import ask, say, settings_of
from registry.domain import access, labels, lookup, names, registered_models, sources
from registry.domain.access import Principal
from registry.errors import VersionNotFound
from registry.settled import Kind, Row, Settled
from registry.tables import Alias, ModelVersion, ModelVersionTag, RegisteredModel
from registry.vocabulary import Permission, Stage

UNSYNCHRONIZED = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Locked:
    """A version of a model whose row this transaction holds, and the instant that all its changes share.

    Both are as they were read: what changes them is a statement of its own. `standing`: the numbers of the versions in
    the stage that was asked for.
    """

    version: ModelVersion
    model: RegisteredModel
    instant: datetime
    standing: Sequence[int] = ()


class Amendment(TypedDict, total=False):
    """What becomes different; what is not in it stays."""

    description: str | None


class Registration(TypedDict):
    """What `create` is told of a version."""

    source: str
    run_id: NotRequired[str | None]
    run_link: NotRequired[str]
    description: NotRequired[str | None]
    logged_model_id: NotRequired[str | None]
    digest: NotRequired[str | None]
    tags: dict[str, str]


def get(session: Session, principal: Principal, name: str, number: int) -> ModelVersion:
    """One version with its tags and aliases.

    :raises Forbidden: the principal may not read it.
    :raises VersionNotFound: no such version, or no such model.
    """
    access.require(session, principal, Permission.READ, name, number=number)
    return lookup.find_version(session, name, number)


def lock(session: Session, name: str, number: int, *, and_in: Stage | None = None) -> Locked:
    """Lock the row of the model, then read the version, and with `and_in` who stands in a stage. One round trip.

    :raises VersionNotFound: no such version, or no such model.
    """
    row = read_locked(session, lookup.HELD_VERSION, name, number, stage=and_in)
    model, instant, standing, *found = lookup.HELD_VERSION.read(row)
    return Locked(labels.labelled(found, model), model, instant, standing)


def lock_key(session: Session, name: str, number: int) -> int:
    """Lock the row of the model, see that the version is there, and return the model's id. One round trip.

    :raises VersionNotFound: no such version, or no such model.
    """
    model_id: int = read_locked(session, lookup.HELD_KEY, name, number)[0]
    return model_id


def read_locked(session: Session, question: Settled, name: str, number: int, **more: object) -> Row:
    """Lock the row of the model, then ask something of the version.

    :raises VersionNotFound: no such version, or no such model.
    """
    names.check_addressable(name)
    if not 1 <= number <= names.HIGHEST_NUMBER:
        raise VersionNotFound(name, number)
    say(session, lookup.LOCK, name=name)
    rows = ask(session, question, name=name, number=number, **more)
    if not rows:
        raise VersionNotFound(name, number)
    return rows[0]


def create(
    session: Session,
    principal: Principal,
    name: str,
    *,
    source: str,
    run_id: str | None = None,
    run_link: str = "",
    description: str | None = None,
    logged_model_id: str | None = None,
    digest: str | None = None,
    tags: dict[str, str],
) -> ModelVersion:
    """Register one more version of a model, in stage None, with the next number.

    `digest` is kept as it is given, never computed; without it, a copy has that of the version it is a copy of.

    :raises Forbidden: the principal may not register versions of it.
    :raises Invalid: source, a text, the digest or a tag is not right.
    :raises NotFound: no such model, or the source names a version that does not exist.
    """
    access.require(session, principal, Permission.REGISTER, name)
    check_texts(run_id, run_link, description, tags)
    names.check_digest(digest)
    is_prompt = tags.get(names.PROMPT_TAG, "").lower() == "true"
    asked = sources.Asked(source, run_id, logged_model_id, is_prompt, digest)
    origin = sources.accept(session, principal, asked, settings_of(session))
    held = registered_models.lock(session, name)
    row = {
        "number": held.model.last_number + 1,
        "stage": Stage.NONE,
        "source": origin.source,
        "run_id": origin.run_id,
        "run_link": run_link,
        "storage_location": origin.storage_location,
        "logged_model_id": origin.logged_model_id,
        "digest": digest or origin.digest,
        "description": description,
        "created_by": principal.id,
    }
    return insert_version(session, held, row, tags)


def insert_version(
    session: Session, held: registered_models.Locked, row: Mapping[str, object], tags: Mapping[str, str]
) -> ModelVersion:
    """Write a new version down, with the number that its model has given by that."""
    model_id, instant, given = held.model.id, held.instant, sorted(tags.items())
    whole = {"model_id": model_id, "created_at": instant, "updated_at": instant, "deleted_at": None, **row}
    say(session, NUMBER, id=model_id, last=row["number"], instant=instant)
    say(session, INSERT, **whole)
    if given:
        keys, values = zip(*given, strict=True)
        say(session, INSERT_TAGS, model_id=model_id, number=row["number"], keys=list(keys), values=list(values))
    version: ModelVersion = MADE.made([whole[name] for name in MADE.names])
    return labels.labelled([version, given, ()], held.model)


def check_texts(run_id: str | None, run_link: str, description: str | None, tags: dict[str, str]) -> None:
    """:raises Invalid: one of them is too long or otherwise not right."""
    names.check_text("run_id", run_id, names.RUN_ID_MAX)
    names.check_text("run_link", run_link, names.RUN_LINK_MAX)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    names.check_tags(tags)


def describe(session: Session, principal: Principal, name: str, number: int, description: str | None) -> ModelVersion:
    """Replace the description of a version.

    :raises Forbidden: the principal may not describe it.
    :raises Invalid: the description is too long.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DESCRIBE, name, number=number)
    names.check_text("description", description, names.DESCRIPTION_MAX)
    held = lock(session, name, number)
    write(session, held, description=description)
    return held.version


def write(session: Session, held: Locked, **changes: object) -> None:
    """Change columns of a version, in the database and in what was read of it."""
    changes |= {"updated_at": held.instant}
    mine = (ModelVersion.model_id == held.model.id, ModelVersion.number == held.version.number)
    session.execute(update(ModelVersion).where(*mine).values(changes), execution_options=UNSYNCHRONIZED)
    held.version.__dict__.update(changes)


def amend(session: Session, principal: Principal, name: str, number: int, amendment: Amendment) -> ModelVersion:
    """Change what is given of a version; nothing given, nothing changed.

    :raises Forbidden: the principal may not describe it.
    :raises Invalid: the description is too long.
    :raises VersionNotFound: no such version.
    """
    if "description" in amendment:
        return describe(session, principal, name, number, amendment["description"])
    return get(session, principal, name, number)


def delete(session: Session, principal: Principal, name: str, number: int) -> None:
    """Take a version off every face, and its aliases with it. Its row stays; its number is not given again.

    One in Production leaves it with that, which takes the right to have it do so.

    :raises Forbidden: the principal may not delete it.
    :raises VersionNotFound: no such version.
    """
    access.require(session, principal, Permission.DELETE, name, number=number)
    held = lock(session, name, number)
    if held.version.stage == Stage.PRODUCTION:
        access.require(session, principal, Permission.PROMOTE, name, number=number, stage_from=Stage.PRODUCTION)
    session.execute(sql_delete(Alias).where(Alias.model_id == held.model.id, Alias.number == number))
    write(session, held, deleted_at=held.instant)
    registered_models.touch(session, held.model, held.instant)


def download_uri(session: Session, principal: Principal, name: str, number: int) -> str:
    """Where the files of a version are: the location resolved at registration, or else the source as it was given.

    :raises Forbidden: the principal may not read it.
    :raises VersionNotFound: no such version.
    """
    version = get(session, principal, name, number)
    return version.storage_location or version.source


def inserting_tags() -> Insert:
    """The statement that gives a new version its tags: `:keys`, and as many `:values`."""
    pair = func.unnest(bindparam("keys", type_=ARRAY(TEXT)), bindparam("values", type_=ARRAY(TEXT)))
    tag = pair.table_valued("key", "value", name="t").render_derived()
    source = select(bindparam("model_id", type_=BigInteger), bindparam("number", type_=Integer), tag.c.key, tag.c.value)
    return insert(ModelVersionTag).from_select(["model_id", "number", "key", "value"], source.order_by(tag.c.key))


COLUMNS = [column.name for column in cast("Table", ModelVersion.__table__).columns]
MADE = Kind(ModelVersion, COLUMNS)
INSERT = Settled(insert(ModelVersion).values({name: bindparam(name) for name in COLUMNS}))
INSERT_TAGS = Settled(inserting_tags())
NUMBER = Settled(registered_models.MINE.values(last_number=bindparam("last"), updated_at=bindparam("instant")))

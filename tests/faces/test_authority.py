"""Who may do what over every face: principals by actions by faces, and every route with those who have too little."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from registry.db import db, transaction
from registry.domain import grants, registered_models, tokens
from registry.domain.access import OPERATOR, Principal
from registry.domain.grants import Wanted
from registry.tables import AuditEvent
from registry.vocabulary import Effect, Permission, Role, Stage
from tests.conftest import client_with, superuser
from tests.faces.every_route import FREE, ROWS, Row, World, make_world, routes
from tests.factories import authenticate, make_version, trusted, unique

pytestmark = pytest.mark.usefixtures("context")

MLFLOW, AJAX, REST = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow", "/api/v1"
PRODUCTION, STAGING = Stage.PRODUCTION, Stage.STAGING


# Every route.


def test_every_route_has_a_row(app: Flask) -> None:
    assert {(row.endpoint, row.verb) for row in ROWS} == routes(app)


@pytest.fixture(scope="module")
def app(app_alone: Flask) -> Flask:
    return app_alone


@pytest.fixture(scope="module")
def world(app: Flask) -> World:
    """Made by somebody whom no table knows, so that nobody owns it."""
    with app.app_context():
        return make_world(author=trusted("sam", Role.ADMINISTRATOR))


def secret_of(role: Role | None, *wanted: Wanted, **narrowed: object) -> str:
    """The token of somebody new with a role, or with nothing but these grants."""
    name = unique("caller")
    with transaction(OPERATOR) as session:
        made = tokens.create(session, OPERATOR, name=name, role=role or Role.ADMINISTRATOR, **narrowed)  # type: ignore[arg-type]
        if role is None and made.grant_id is not None:
            grants.delete(session, OPERATOR, made.grant_id)
        for one in wanted:
            grants.create(session, OPERATOR, replace(one, principal=name))
    return made.secret


@pytest.fixture(scope="module")
def callers(app: Flask) -> dict[Role | None, FlaskClient]:
    """Somebody of each role, and (None) somebody without any grant."""
    with app.app_context():
        return {role: client_with(app, secret_of(role)) for role in (None, *Role)}


def everything() -> str:
    """A digest of all rows of the registry, and how many events there are but for those that tell of refusals."""
    ours = "schemaname = 'registry' AND tablename <> 'failed_attempts'"
    with superuser() as connection:
        tables = connection.scalars(text(f"SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE {ours}"))
        row = "(to_jsonb(t) - 'last_used_at')::text"
        digests = [
            connection.scalar(text(f"SELECT md5(string_agg({row}, '' ORDER BY {row})) FROM {table} t"))
            for table in sorted(tables)
        ]
        events = connection.scalar(select(func.count(AuditEvent.id)).where(AuditEvent.action != "access.refuse"))
    return " ".join(map(str, [*digests, events]))


def too_small() -> Iterator[object]:
    """Every row with every role that is too small for it, and with no grant at all."""
    for number, row in enumerate(ROWS):
        for role in (None, *Role):
            if row.least != FREE and (role is None or list(Role).index(role) < list(Role).index(Role(row.least))):
                yield pytest.param(row, role, id=f"{number} {row.endpoint} {row.verb} by {role}")


@pytest.mark.parametrize(("row", "role"), list(too_small()))
def test_who_has_too_little_is_refused_and_changes_nothing(
    callers: dict[Role | None, FlaskClient], world: World, row: Row, role: Role | None
) -> None:
    before = everything()
    answer = row.send(callers[role], world)
    if role is None and row.names_model:
        assert answer.status_code == 404
    else:
        assert answer.status_code == 403
        assert "grant" in answer.text
    assert everything() == before


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.changes], ids=lambda row: f"{row.endpoint} {row.path[-20:]}"
)
def test_the_least_role_reads(callers: dict[Role | None, FlaskClient], world: World, row: Row) -> None:
    before = everything()
    answer = row.send(callers[None if row.least == FREE else Role(row.least)], world)
    unsigned = answer.status_code == 404 and "signed" in answer.text
    nobody = answer.status_code == 404 and "'admin'" in answer.text
    assert answer.status_code == 200 or unsigned or nobody, answer.text
    answer.get_data()
    exported = "format=" in row.path
    assert everything() == before or exported


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.changes], ids=lambda row: f"{row.endpoint} {row.verb} {row.path[-20:]}"
)
def test_the_least_role_changes(callers: dict[Role | None, FlaskClient], row: Row) -> None:
    sam = caller_of(callers[Role(row.least)])
    answer = row.send(callers[Role(row.least)], make_world(author=sam))
    assert answer.status_code in {200, 201, 204, 409}, answer.text
    assert answer.status_code != 409 or "previous holder" in answer.text or "was held before" in answer.text


def caller_of(client: FlaskClient) -> Principal:
    """Somebody who may make a world, and whose comments are those of the one who calls."""
    who = client.get("/api/v1/whoami").get_json()
    return trusted(who["name"], Role.ADMINISTRATOR, who["id"])


# Principals by actions by faces.

Act = Callable[[FlaskClient, str, str], int]
"""By a client, under the prefix of a face, on a model: the status."""


def sent(rest: tuple[str, str, object], mlflow: tuple[str, str, object]) -> Act:
    def act(client: FlaskClient, prefix: str, name: str) -> int:
        verb, path, body = rest if prefix == REST else mlflow
        said = {key: value.replace("NAME", name) for key, value in body.items()} if isinstance(body, dict) else body
        return client.open(f"{prefix}/{path.replace('NAME', name)}", method=verb, json=said).status_code

    return act


MODEL, ONE = "models/NAME", "models/NAME/versions/1"
VERSION = {"name": "NAME", "version": "1"}
ACTIONS: dict[str, Act] = {
    "read": sent(("GET", MODEL, None), ("GET", "registered-models/get?name=NAME", None)),
    "describe": sent(
        ("PATCH", MODEL, {"description": "x"}),
        ("PATCH", "registered-models/update", {"name": "NAME", "description": "x"}),
    ),
    "register": sent(
        ("POST", f"{MODEL}/versions", {"source": "s3://b/k"}),
        ("POST", "model-versions/create", {"name": "NAME", "source": "s3://b/k"}),
    ),
    "stage": sent(
        ("POST", f"{ONE}/transitions", {"to": "Staging"}),
        ("POST", "model-versions/transition-stage", VERSION | {"stage": "Staging"}),
    ),
    "promote": sent(
        ("POST", f"{ONE}/transitions", {"to": "Production"}),
        ("POST", "model-versions/transition-stage", VERSION | {"stage": "Production"}),
    ),
    "alias": sent(
        ("DELETE", f"{MODEL}/aliases/x", None), ("DELETE", "registered-models/alias", {"name": "NAME", "alias": "x"})
    ),
    "rename": sent(
        ("PATCH", MODEL, {"name": "NAME-x"}),
        ("POST", "registered-models/rename", {"name": "NAME", "new_name": "NAME-x"}),
    ),
    "delete": sent(("DELETE", MODEL, None), ("DELETE", "registered-models/delete", {"name": "NAME"})),
}
NOTHING = frozenset[str]()
READS = frozenset({"read"})
CONTRIBUTES = READS | {"describe", "register", "stage"}
APPROVES = frozenset(ACTIONS)
HERE = "team-*"
PRINCIPALS: dict[str, tuple[Callable[[], str], frozenset[str], bool]] = {
    # how such a one comes by a token, what it may do, and whether it may see the model at all
    "a viewer": (lambda: secret_of(Role.VIEWER), READS, True),
    "a contributor": (lambda: secret_of(Role.CONTRIBUTOR), CONTRIBUTES, True),
    "an approver": (lambda: secret_of(Role.APPROVER), APPROVES, True),
    "an administrator": (lambda: secret_of(Role.ADMINISTRATOR), APPROVES, True),
    "nobody": (lambda: secret_of(None), NOTHING, False),
    "an approver of these models": (lambda: secret_of(None, Wanted(role=Role.APPROVER, pattern=HERE)), APPROVES, True),
    "an approver of others": (lambda: secret_of(None, Wanted(role=Role.APPROVER, pattern="x-*")), NOTHING, False),
    "who may only promote": (
        lambda: secret_of(None, Wanted(permissions=[Permission.PROMOTE], pattern=HERE)),
        READS | {"promote"},
        True,
    ),
    "an approver up to Staging": (
        lambda: secret_of(None, Wanted(role=Role.APPROVER, stages_to=[STAGING])),
        APPROVES - {"promote"},
        True,
    ),
    "an approver who is denied Production": (
        lambda: secret_of(
            Role.APPROVER, Wanted(effect=Effect.DENY, permissions=[Permission.PROMOTE], stages_to=[PRODUCTION])
        ),
        APPROVES - {"promote"},
        True,
    ),
    "an approver who is denied to delete these": (
        lambda: secret_of(Role.APPROVER, Wanted(effect=Effect.DENY, permissions=[Permission.DELETE], pattern=HERE)),
        APPROVES - {"delete"},
        True,
    ),
    "an administrator who is denied these": (
        lambda: secret_of(Role.ADMINISTRATOR, Wanted(effect=Effect.DENY, permissions=[Permission.READ], pattern=HERE)),
        NOTHING,
        False,
    ),
    "an approver with a token that only reads": (
        lambda: again(secret_of(Role.APPROVER), role=Role.VIEWER),
        READS,
        True,
    ),
    "an approver with a token for other models": (
        lambda: secret_of(Role.APPROVER, models=["x-*"]),
        NOTHING,
        False,
    ),
    "an approver with a token for Staging": (
        lambda: secret_of(Role.APPROVER, stages=[STAGING]),
        APPROVES - {"promote"},
        True,
    ),
}


def again(secret: str, **narrowed: object) -> str:
    """Another token of the same one."""
    with transaction(OPERATOR) as session:
        holder = authenticate(session, secret)
        assert holder is not None
        return tokens.create(session, OPERATOR, name=holder.principal.name, **narrowed).secret  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def secrets_of(app: Flask) -> dict[str, str]:
    with app.app_context():
        return {who: make() for who, (make, _, _) in PRINCIPALS.items()}


def expected(action: str, may: frozenset[str], *, sees: bool) -> set[int]:
    if not sees:
        return {404}
    return {200, 201, 204} if action in may else {403}


@pytest.mark.parametrize("prefix", [REST, MLFLOW, AJAX])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("who", PRINCIPALS)
def test_who_may_do_what_over_which_face(
    app: Flask, secrets_of: dict[str, str], who: str, action: str, prefix: str
) -> None:
    sam = trusted("sam", Role.ADMINISTRATOR)
    name = unique("team")
    with transaction(sam) as session:
        registered_models.create(session, sam, name, tags={})
    make_version(name, sam)
    _, may, sees = PRINCIPALS[who]
    status = ACTIONS[action](client_with(app, secrets_of[who]), prefix, name)
    assert status in expected(action, may, sees=sees)


@pytest.mark.parametrize("prefix", [REST, MLFLOW, AJAX])
@pytest.mark.parametrize("action", ACTIONS)
def test_the_owner_may_all_but_promote_and_point_aliases(app: Flask, action: str, prefix: str) -> None:
    client, name = client_with(app, secret_of(Role.CONTRIBUTOR)), unique("team")
    assert client.post("/api/v1/models", json={"name": name}).status_code == 201
    assert client.post(f"/api/v1/models/{name}/versions", json={"source": "s3://b/k"}).status_code == 201
    status = ACTIONS[action](client, prefix, name)
    assert status in expected(action, APPROVES - {"promote", "alias"}, sees=True)


@pytest.mark.parametrize("prefix", [REST, MLFLOW])
def test_a_refusal_says_the_same_over_every_face(app: Flask, prefix: str) -> None:
    sam = trusted("sam", Role.ADMINISTRATOR)
    name = unique("team")
    with transaction(sam) as session:
        registered_models.create(session, sam, name, tags={})
    client = client_with(app, secret_of(None, Wanted(role=Role.VIEWER)))
    path, body = ("registered-models/delete", {"name": name}) if prefix == MLFLOW else (f"models/{name}", None)
    answer = client.delete(f"{prefix}/{path}", json=body)
    who = client.get("/api/v1/whoami").get_json()["name"]
    said = answer.get_json()["message" if prefix == MLFLOW else "detail"]
    assert said == (
        f"'{who}' has no grant that gives 'delete' on '{name}'. "
        "An administrator can grant it, for instance as the role approver."
    )
    assert answer.status_code == 403
    assert db.session.scalars(select(AuditEvent.action).where(AuditEvent.action == "access.refuse")).first()

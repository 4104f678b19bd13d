"""A registry in which much has happened, the bundle of it, and empty registries to bring it into."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from registry.bundle import database as bundled
from registry.bundle import loading, writing
from registry.bundle.reading import Whole, verified
from registry.config import Settings
from registry.db import transaction
from registry.domain import erasure, registered_models, tokens
from registry.domain.access import OPERATOR
from registry.domain.tokens import IssuedToken
from registry.ownership import APP
from registry.vocabulary import Role
from tests.conftest import application, as_role, client_with, database
from tests.faces.every_route import World, make_world
from tests.factories import make_events, make_version, trusted
from tests.verification.registries import Registry
from tools import examples

LONG_TEXT = 'ÄΩ\U0001f600 "quoted" \\ back\\slash\t\x01\x7f\u2028 end'
"""What JSON has to escape, what it may leave, and what some take for the end of a line."""


class Lived(Registry):
    """A registry with a world in it that every route can be asked about, and an administrator's token."""

    world: World
    issued: IssuedToken

    def live(self) -> None:
        """Let everything happen, through the rules and through both faces; sealed but for the last events."""
        super().live()
        with self.open() as app:
            with transaction(OPERATOR) as session:
                self.issued = tokens.create(session, OPERATOR, name="admin", role=Role.ADMINISTRATOR)
            self.world = make_world("asked", trusted("sam", Role.ADMINISTRATOR))
            make_events(300)
            root = client_with(app, self.issued.secret)
            examples.play(sender(root), self.issued.secret)
            self.seal()
            odd_texts()
            refused = client_with(app, self.viewer(root)).post("/api/v1/models", json={"name": "refused"})
            assert refused.status_code == 403
        with application(Settings(database_url=self.url)) as app, app.app_context():
            erase()
        self.seal()
        self.go_on()

    def viewer(self, root: FlaskClient) -> str:
        """The token of somebody who may only read."""
        answer = root.post("/api/v1/tokens", json={"name": "vera", "role": "viewer"})
        return str(answer.json["secret"]) if answer.json else ""


def sender(client: FlaskClient) -> examples.Send:
    """Takes requests of the story to a service in this process."""

    def send(verb: str, url: str, headers: dict[str, str], body: bytes | None) -> examples.Answer:
        plain = client.application.test_client()
        answer = plain.open(url, method=verb, headers=headers, data=body)
        return answer.status_code, dict(answer.headers), answer.get_data()

    return send


def odd_texts() -> None:
    """Texts that are hard to write down; needs an application context."""
    with transaction(OPERATOR, reason=LONG_TEXT) as session:
        registered_models.create(session, OPERATOR, "Ünïcode 模型", description=LONG_TEXT, tags={"k": LONG_TEXT})
    make_version("Ünïcode 模型", source="s3://bucket/" + "é" * 900)


def erase() -> None:
    """A description that somebody had a right to have erased; needs an application context."""
    with transaction(OPERATOR, reason="erase me too") as session:
        registered_models.create(session, OPERATOR, "erased", description="a name", tags={})
    with transaction(OPERATOR) as session:
        erasure.model_description(session, OPERATOR, "erased", basis="article 17")


@pytest.fixture(scope="package")
def lived(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with database(server_url, str(make_url(template_url).database)) as url:
        registry = Lived(url, tmp_path_factory.mktemp("lived") / "sealer")
        registry.live()
        yield registry


def exported(url: str, *, tokens: bool = True) -> bytes:
    """The bundle of a registry, written as the service's own role."""
    file = io.BytesIO()
    writing.write(bundled.connect(as_role(url, APP), 5), file.write, tokens=tokens)
    return file.getvalue()


@pytest.fixture(scope="package")
def bundle(lived: Lived) -> bytes:
    return exported(lived.url)


def imported(url: str, bundle: bytes, reach: Callable[[str], object] = lambda _: None) -> Whole:
    """Bring a bundle in."""
    file = io.BytesIO(bundle)
    whole = verified(file)
    file.seek(0)
    loading.bring(bundled.connect(url, 5), file, whole, OPERATOR, reach)
    return whole


@contextmanager
def empty(server_url: str, template_url: str) -> Iterator[str]:
    """A registry with nothing in it."""
    with database(server_url, str(make_url(template_url).database)) as url:
        yield url


@pytest.fixture(scope="package")
def moved(server_url: str, template_url: str, lived: Lived, bundle: bytes) -> Iterator[Registry]:
    """Where the bundle was brought, with the old sealer's directory; nothing is sealed there yet."""
    with empty(server_url, template_url) as url:
        imported(url, bundle)
        yield Registry(url, lived.directory)

"""`/docs` in a real browser: it shows every operation, lets one try them, and loads nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask

from registry.domain.access import Principal
from registry.faces.openapi.pages import ASSETS
from registry.faces.openapi.routes import routes
from registry.vocabulary import Role
from tests.browser import Page, chromium, needs_chromium
from tests.cli.running import Service, service
from tests.conftest import client_with

ROW = ".opblock-summary-path[data-path='/api/v1/whoami']"

ANSWER = ".is-open .live-responses-table .response pre code"


def test_the_page_tells_the_browser_to_load_nothing_from_elsewhere(app: Flask) -> None:
    with client_with(app, None).get("/docs") as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = answer.get_data(as_text=True)

    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "://" not in text
    assert "<script>" not in text


@pytest.mark.parametrize("file", ASSETS)
def test_every_file_of_the_page_is_served_to_everybody(app: Flask, file: str) -> None:
    with client_with(app, None).get(f"/docs/{file}") as answer:
        assert answer.status_code == 200
        assert answer.data


@pytest.mark.parametrize("file", ["index.html", "swagger-ui.js", "../pages.py", "LICENSE"])
def test_nothing_else_is_served(app: Flask, file: str) -> None:
    assert client_with(app, None).get(f"/docs/{file}").status_code == 404


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with service(directory, REGISTRY_DATABASE_URL=database_url, REGISTRY_WORKERS="1") as running:
        yield running


@pytest.fixture
def page(tmp_path: Path, running: Service) -> Iterator[Page]:
    with chromium(tmp_path) as page:
        page.open(f"http://127.0.0.1:{running.port}/docs")
        page.wait_for("document.querySelector('.opblock')")
        yield page


@pytest.mark.browser
@needs_chromium
def test_the_page_shows_every_operation_without_complaint(app: Flask, page: Page, running: Service) -> None:
    shown = page.run("document.querySelectorAll('.opblock').length")
    for kind in ("get", "post", "put", "patch", "delete"):
        page.run(f"document.querySelector('.opblock-{kind} .opblock-summary-control').click()")
        page.wait_for(f"document.querySelector('.opblock-{kind}.is-open .responses-wrapper')")

    assert shown == len(list(routes(app)))
    assert page.complaints == []
    assert {urlsplit(address).netloc for address in page.addresses} == {f"127.0.0.1:{running.port}"}


@pytest.mark.browser
@needs_chromium
def test_a_token_opens_the_operations_and_is_forgotten_with_the_page(
    page: Page, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    principal, secret = credentials[Role.VIEWER]

    page.run("document.querySelector('button.authorize').click()")
    page.wait_for("document.querySelector('.auth-container input')")
    page.run("document.querySelector('.auth-container input').focus()")
    page.type(secret)
    page.run("document.querySelector('.auth-container button[type=submit]').click()")
    page.wait_for("document.querySelector('.auth-container .auth-btn-wrapper button').textContent == 'Logout'")
    page.run("document.querySelector('.modal-ux .btn-done').click()")
    page.run(f'document.querySelector("{ROW}").click()')
    answer = ask(page)
    page.run("window.before = true")
    page.call("Page.reload")
    page.wait_for("!window.before && document.querySelector('.opblock')")
    refusal = ask(page)

    assert f'"name": "{principal.name}"' in answer
    assert "urn:model-registry:problem:unauthenticated" in refusal


def ask(page: Page) -> str:
    """Try out the operation that is open and return what is shown."""
    page.wait_for("document.querySelector('.is-open .try-out__btn')")
    page.run("document.querySelector('.is-open .try-out__btn').click()")
    page.wait_for("document.querySelector('.is-open .execute')")
    page.run("document.querySelector('.is-open .execute').click()")
    page.wait_for(f"document.querySelector('{ANSWER}')")
    return str(page.run(f"document.querySelector('{ANSWER}').textContent"))

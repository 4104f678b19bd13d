"""Pages as large as the MLflow face gives them."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from registry.db import take_time, transaction
from registry.domain.access import OPERATOR
from registry.faces.mlflow.model_versions import PAGE_MAX
from registry.vocabulary import Role
from tests.conftest import application, client_with, issue, patient
from tests.factories import make_model

SEARCH = "/api/2.0/mlflow/model-versions/search"
EACH = "FROM registry.registered_models m, generate_series(1, :count) n WHERE m.name = :name"
VERSIONS = text(
    "INSERT INTO registry.model_versions (model_id, number, source, created_at, updated_at, created_by) "
    f"SELECT m.id, n, 's3://b/k', now(), now(), 'operator' {EACH}"
)
TAGS = text(f"INSERT INTO registry.model_version_tags (model_id, number, key, value) SELECT m.id, n, 'n', n {EACH}")


@pytest.fixture
def alone(empty_database_url: str) -> Iterator[Flask]:
    """A service with a database of its own: so many events of one request make a database plan otherwise."""
    with application(patient(empty_database_url)) as app, app.app_context():
        yield app


def make_versions(count: int) -> str:
    """A model with so many versions, each with a tag of its own."""
    name = make_model()
    with transaction(OPERATOR) as session:
        take_time(session, 600_000)
        session.execute(VERSIONS, {"count": count, "name": name})
        session.execute(TAGS, {"count": count, "name": name})
    return name


def test_the_largest_page_is_answered_with_all_its_tags_and_leads_on(alone: Flask) -> None:
    name = make_versions(PAGE_MAX + 1)
    client = client_with(alone, issue(alone, Role.VIEWER)[1])
    asked = {"filter": f"name = '{name}'", "order_by": "version_number ASC"}

    first = client.get(SEARCH, query_string=asked)  # of as many as MLflow's clients ask for: all that one page holds
    assert first.status_code == 200
    page = first.get_json()
    tags = [(one["version"], one["tags"]) for one in page["model_versions"]]
    assert tags == [(str(n), [{"key": "n", "value": str(n)}]) for n in range(1, PAGE_MAX + 1)]

    [last] = client.get(SEARCH, query_string=asked | {"page_token": page["next_page_token"]}).get_json()[
        "model_versions"
    ]
    assert last["version"] == str(PAGE_MAX + 1)

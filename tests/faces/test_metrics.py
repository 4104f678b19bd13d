"""What /metrics counts, and what it keeps to itself."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.core import Metric

from registry.config import Settings
from registry.db import transaction
from registry.domain import stages
from registry.domain.access import Principal
from registry.metrics.exposition import GAUGES, Numbers
from registry.metrics.meters import COUNTERS, HISTOGRAMS
from registry.vocabulary import Role, Stage
from tests.conftest import application, client_with
from tests.factories import make_model, make_version, unique
from tests.metrics.reading import Samples, samples, value

TOKEN = "a-token-for-prometheus-0123456789"
MODEL_ROUTE = "/api/v1/models/<name>"


def read(client: FlaskClient, **headers: str) -> Samples:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return samples(answer.text)


def test_requests_are_counted_by_route_template_status_and_face(client: FlaskClient, context: None) -> None:
    name = make_model()
    before = read(client)

    client.get(f"/api/v1/models/{name}")
    client.get(f"/api/v1/models/{name}")
    client.get("/api/v1/models/there-is-none")
    client.get("/api/2.0/mlflow/registered-models/get", query_string={"name": name})
    after = read(client)

    def grown(**labels: str) -> float:
        name = "registry_requests_total"
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown(face="rest", method="GET", route=MODEL_ROUTE, status="200") == 2
    assert grown(face="rest", method="GET", route=MODEL_ROUTE, status="404") == 1
    mlflow_route = "/api/2.0/mlflow/registered-models/get"
    assert grown(face="mlflow", method="GET", route=mlflow_route, status="200") == 1


def test_times_are_a_histogram(client: FlaskClient, context: None) -> None:
    before = read(client)
    client.get("/api/v1/models/there-is-none")
    after = read(client)

    labels = {"face": "rest", "route": MODEL_ROUTE}
    count = "registry_request_seconds_count"
    assert value(after, count, **labels) == value(before, count, **labels) + 1
    assert value(after, "registry_request_seconds_bucket", **labels, le="+Inf") == value(after, count, **labels)
    assert value(after, "registry_request_seconds_sum", **labels) > value(
        before, "registry_request_seconds_sum", **labels
    )
    small = value(after, "registry_request_seconds_bucket", **labels, le="0.001")
    assert small <= value(after, "registry_request_seconds_bucket", **labels, le="10.0")


def test_refusals_are_counted_by_rule_on_every_face(client: FlaskClient, app: Flask) -> None:
    before = read(client)
    client.get("/api/v1/models/there-is-none")
    client.get("/api/2.0/mlflow/registered-models/get", query_string={"name": "there-is-none"})
    client_with(app, None).get("/api/v1/models")
    client.get("/nowhere")  # refused by the web server, not by the registry
    after = read(client)

    def grown(**labels: str) -> float:
        name = "registry_refusals_total"
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown(face="rest", rule="model-not-found") == 1
    assert grown(face="mlflow", rule="model-not-found") == 1
    assert grown(face="rest", rule="unauthenticated") == 1
    assert len(after) - len(before) <= 60


def moved(found: Samples, was: str, becomes: str) -> float:
    return value(found, "registry_transitions_total", **{"from": was, "to": becomes})


def test_moves_are_counted_once_they_are_committed(client: FlaskClient, context: None) -> None:
    name = make_model()
    make_version(name)
    make_version(name)
    path = f"/api/v1/models/{name}/versions"
    before = read(client)

    to_production = {"to": "Production", "archive_existing": True}
    assert client.post(f"{path}/1/transitions", json=to_production).status_code == 200
    assert client.post(f"{path}/2/transitions", json=to_production).status_code == 200
    client.post(f"{path}/2/transitions", json=to_production)  # stands there already
    client.post(f"{path}/1/transitions", json=to_production | {"dry_run": True})
    client.post(f"{path}/1/transitions", json=to_production | {"expected_current": 77})
    after = read(client)

    assert moved(after, "None", "Production") - moved(before, "None", "Production") == 2
    assert moved(after, "Production", "Archived") - moved(before, "Production", "Archived") == 1
    assert moved(after, "Archived", "Production") == moved(before, "Archived", "Production")


def test_a_move_that_is_undone_by_the_transaction_around_it_does_not_count(
    client: FlaskClient, context: None, steward: Principal
) -> None:
    name = make_model()
    make_version(name)
    before = read(client)

    with transaction(steward) as session:
        with transaction(steward, dry_run=True):
            stages.transition(session, steward, name, 1, Stage.STAGING)
        stages.transition(session, steward, name, 1, Stage.ARCHIVED)
    with pytest.raises(ZeroDivisionError), transaction(steward) as session:
        stages.transition(session, steward, name, 1, Stage.PRODUCTION)
        raise ZeroDivisionError
    after = read(client)

    assert moved(after, "None", "Archived") - moved(before, "None", "Archived") == 1
    assert moved(after, "None", "Staging") == moved(before, "None", "Staging")
    assert moved(after, "Archived", "Production") == moved(before, "Archived", "Production")


def test_no_caller_can_make_a_label(client: FlaskClient) -> None:
    secret = unique()
    client.get(f"/{secret}")
    client.get(f"/api/v1/{secret}/x")
    client.open("/api/v1/models", method=secret.upper())
    client.get(f"/api/v1/models/{secret}", headers={"Host": secret})

    text = client.get("/metrics").text

    assert secret not in text
    assert secret.upper() not in text
    assert 'route="unmatched"' in text
    assert 'method="other"' in text


def test_the_audit_head_moves(client: FlaskClient, app: Flask, context: None) -> None:
    before = fresh(app, client)
    make_model()
    after = fresh(app, client)

    assert value(after, "registry_database_up") == 1
    assert value(after, "registry_audit_head") > value(before, "registry_audit_head") > 0
    assert value(after, "registry_audit_head_timestamp_seconds") > 1.7e9


def fresh(app: Flask, client: FlaskClient) -> Samples:
    """Read without what was read of the database a moment ago."""
    app.extensions.pop("vitals", None)
    return read(client)


def test_what_was_read_of_the_database_serves_for_a_while(client: FlaskClient, app: Flask, context: None) -> None:
    before = fresh(app, client)
    make_model()

    assert value(read(client), "registry_audit_head") == value(before, "registry_audit_head")


@pytest.fixture
def without_database() -> Iterator[FlaskClient]:
    """A service whose database is away."""
    settings = Settings(database_url="postgresql+psycopg2://nobody@127.0.0.1:9/none", metrics_token=TOKEN)
    with application(settings) as app:
        yield client_with(app, TOKEN)


def test_it_answers_when_the_database_does_not(without_database: FlaskClient) -> None:
    without_database.get("/api/v1/models")
    found = read(without_database)

    assert value(found, "registry_database_up") == 0
    assert ("registry_audit_head", frozenset()) not in found
    assert value(found, "registry_refusals_total", face="rest", rule="unavailable") == 1
    assert value(found, "registry_pool_connections_in_use") == 0


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer " + TOKEN[:-1]}])
def test_with_a_token_set_nobody_else_gets_in(without_database: FlaskClient, headers: dict[str, str]) -> None:
    del without_database.environ_base["HTTP_AUTHORIZATION"]

    answer = without_database.get("/metrics", headers=headers)

    assert answer.status_code == 401
    assert "registry_requests" not in answer.text
    assert "REGISTRY_METRICS_TOKEN" in answer.get_json()["detail"]


def test_connections_in_use_and_requests_under_way_are_those_of_now(client: FlaskClient, app: Flask) -> None:
    app.extensions.pop("vitals", None)
    found = read(client)

    assert value(found, "registry_workers") == 1
    assert value(found, "registry_requests_under_way") == 1  # the one that asks
    assert 0 < value(found, "registry_oldest_request_seconds") < 60
    assert value(found, "registry_pool_connections_max") == 40
    assert 0 <= value(found, "registry_pool_connections_in_use") <= 40


def test_it_speaks_openmetrics_to_those_who_ask(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert value(samples(answer.text, newest=True), "registry_workers") == 1


def test_every_number_says_what_it_means(app: Flask) -> None:
    families: list[Metric] = list(Numbers(app.extensions["meters"].board, 1, []).collect())

    assert {family.name for family in families} == {*COUNTERS, *HISTOGRAMS, *GAUGES}
    assert all(family.documentation for family in families)


def test_whoever_reads_needs_no_role_of_the_registry(
    app: Flask, credentials: dict[Role, tuple[Principal, str]]
) -> None:
    settings = replace(app.config["REGISTRY"], metrics_token=TOKEN)
    with application(settings) as guarded:
        registry_token = credentials[Role.ADMINISTRATOR][1]
        assert client_with(guarded, registry_token).get("/metrics").status_code == 401
        assert client_with(guarded, TOKEN).get("/metrics").status_code == 200
        assert client_with(guarded, TOKEN).get("/api/v1/models").status_code == 401

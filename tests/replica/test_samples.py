"""Which routes a replica may answer, and what is known of it: on samples of our own."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from registry.faces.contract import operation_of
from registry.faces.face import bare_view
from registry.replica import Sample, end_of_log, horizon_at

TOLERANT = {
    "/api/v1/models": "search_models",
    "/api/v1/versions": "search_versions",
    "/api/v1/models/<name>/versions": "search_versions_of_model",
    "/api/v1/audit": "audit",
    "/api/v1/models/<name>/audit": "model_audit",
    "/api/v1/models/<name>/versions/<int:number>/audit": "version_audit",
    "/api/v1/audit/checkpoint": "checkpoint",
    "/api/v1/audit/proof/<int:position>": "inclusion_proof",
    "/api/v1/audit/consistency": "consistency_proof",
    "/api/v1/models/<name>/stages/<stage>/history": "stage_history",
    # Only about a past that is final:
    "/api/v1/models/<name>/stages/<stage>": "stage_holders",
    "/api/v1/resolve": "resolve",
    "/api/v1/snapshot": "snapshot",
}
ONLY_PAST = {"stage_holders", "resolve", "snapshot"}


def test_only_these_routes_may_be_answered_by_a_replica_and_none_that_changes_anything(app: Flask) -> None:
    found = {}
    for rule in app.url_map.iter_rules():
        with app.app_context():
            view = bare_view(rule.endpoint) or app.view_functions[rule.endpoint]
        operation = operation_of(view)
        if operation is None or operation.replica is None:
            continue
        found[rule.rule] = rule.endpoint.removeprefix("rest.")
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}
        assert operation.replica.about_the_past is (found[rule.rule] in ONLY_PAST)
        assert len(operation.replica.why) > 20
    assert found == TOLERANT


def sample(second: int, *under_way: str, reached: int = 0) -> Sample:
    return Sample(float(second), datetime(2026, 11, 24, 14, 3, second, tzinfo=UTC), frozenset(under_way), None, reached)


@pytest.mark.parametrize(
    ("seen", "second"),
    [
        ([sample(1)], 1),
        ([sample(1), sample(2)], 2),
        ([sample(1, "7")], None),  # it may yet commit something of then
        ([sample(1, "7"), sample(2)], 2),
        ([sample(1, "7"), sample(2, "8")], 1),  # 7 has ended by then, and what 8 does bears a later time
        ([sample(1), sample(2, "7"), sample(3, "7")], 1),
        ([sample(1, "7"), sample(2, "7", "8"), sample(3, "8")], 1),
    ],
)
def test_final_is_what_no_transaction_can_add_to_any_more(seen: list[Sample], second: int | None) -> None:
    assert horizon_at(seen[-1], seen) == (second and sample(second).time)


def test_what_the_replica_has_not_reached_says_nothing_about_it() -> None:
    assert horizon_at(sample(1), [sample(1), sample(2)]) == sample(1).time


@pytest.mark.parametrize(("reached", "end"), [(8192 + 24, 8192), (8192 + 40, 8192), (8192 + 48, 8240), (8192, 8192)])
def test_a_log_that_ends_with_a_page_ends_there(reached: int, end: int) -> None:
    assert end_of_log(reached, 8192) == end

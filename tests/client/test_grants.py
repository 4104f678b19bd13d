"""Grants and explanations through the client."""

import pytest

from registry.client import Client, Forbidden, Invalid, NotFound
from tests.factories import unique
from tests.live import Live


def test_a_grant_is_made_found_and_taken_away(live: Live, remote: Client) -> None:
    name = unique("maya")
    issued = remote.create_token(name, "viewer", models=["churn-*"], stages=["Staging"])
    assert (issued.models, issued.stages) == (("churn-*",), ("Staging",))
    made = remote.create_grant(
        principal=name,
        permissions=["promote", "alias"],
        pattern="churn-*",
        stages_from=["Staging"],
        description="for now",
        reason="on call",
    )
    assert remote.get_grant(made.id) == made
    assert (made.principal, made.permissions, made.stages_from) == (name, ("alias", "promote"), ("Staging",))
    assert made in remote.grants(principal=name)
    assert made in remote.grants(model="churn-eu", page_size=1000)
    with Client(live.url, issued.secret) as maya, pytest.raises(Forbidden):
        list(maya.grants())
    remote.delete_grant(made.id, reason="over")
    with pytest.raises(NotFound):
        remote.get_grant(made.id)
    assert remote.events(action="grant.delete", page_size=1).__next__().reason == "over"
    with pytest.raises(Invalid):
        remote.create_grant(group="g", role="approver", effect="deny")


def test_what_may_be_done_is_explained(live: Live, remote: Client) -> None:
    name = unique("maya")
    issued = remote.create_token(name, "contributor")
    with Client(live.url, issued.secret) as maya:
        assert maya.whoami().role == "contributor"
        found = maya.explain("describe", "churn")
        assert found.allowed
        assert found.because is not None
        assert (found.because.id, found.because.role) == (issued.grant_id, "contributor")
        refused = maya.explain("promote", "churn", start="Staging", to="Production")
        assert not refused.allowed
        assert refused.who_could
    assert remote.explain("promote", "churn", principal=name).missing is not None
    with pytest.raises(NotFound):
        remote.explain("read", principal=unique("nobody"))


def test_a_second_token_brings_a_grant_along_where_that_is_asked_for(remote: Client) -> None:
    name = unique("maya")
    assert remote.create_token(name, "viewer").grant_id is not None
    assert remote.create_token(name, "approver").grant_id is None
    assert remote.create_token(name, "approver", with_grant=True).grant_id is not None

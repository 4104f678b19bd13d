"""Calls that go wrong: what is tried again, what is not, and what the caller is told."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest

from registry.client import (
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServiceError,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from registry.vocabulary import Role
from tests.cli.running import free_port
from tests.client.proxy import DROP, LOSE, STALL, TEAR, Answer, Proxy, misbehaving
from tests.factories import unique
from tests.live import Live

BUSY = Answer(503, json.dumps({"type": "urn:model-registry:problem:unavailable", "detail": "Busy."}))
UNCERTAIN = Answer(503, json.dumps({"type": "urn:model-registry:problem:uncertain", "detail": "Not known."}))
IN_FLIGHT = Answer(409, json.dumps({"type": "urn:model-registry:problem:in-flight", "detail": "Under way."}))


@pytest.fixture
def proxy(live: Live) -> Iterator[Proxy]:
    with misbehaving(live.service.port) as started:
        yield started


@pytest.fixture
def through(proxy: Proxy, live: Live) -> Iterator[Client]:
    """A client that speaks through the proxy."""
    with Client(proxy.url, live.token, retries=2, patience=20) as client:
        yield client


@pytest.mark.parametrize(
    "mishap", [LOSE, DROP, BUSY, UNCERTAIN, Answer(502), Answer(504, "<html>"), Answer(429), IN_FLIGHT]
)
def test_a_post_is_sent_again_with_its_key_and_done_once(through: Client, proxy: Proxy, mishap: object) -> None:
    name = through.register_model(unique()).name
    proxy.seen.clear()
    proxy.script.append(mishap)

    made = through.register_version(name, "s3://bucket/model")

    first, second = proxy.sent("Idempotency-Key")
    assert first == second
    assert first
    assert through.get_version(name, 1) == made
    with pytest.raises(NotFound):
        through.get_version(name, 2)


def test_each_call_has_a_key_of_its_own(through: Client, proxy: Proxy) -> None:
    name = through.register_model(unique()).name
    through.register_version(name, "s3://bucket/model")
    through.register_version(name, "s3://bucket/model")

    assert len({*proxy.sent("Idempotency-Key")}) == 3


def test_what_is_read_after_a_change_is_asked_to_be_no_older(through: Client, proxy: Proxy) -> None:
    through.get_model(through.register_model(unique()).name)
    earlier = ", ".join(through.last_receipts)
    name = through.register_model(unique()).name
    later = ", ".join(through.last_receipts)
    through.describe_model(name, "")  # as it is already: there is no receipt of that
    assert not through.last_receipts
    through.get_model(name)
    assert [sent for sent in proxy.sent("Audit-Receipt") if sent] == [earlier, later]


def test_a_token_whose_secret_was_lost_is_named_to_be_revoked(through: Client, proxy: Proxy, remote: Client) -> None:
    proxy.script.append(LOSE)

    with pytest.raises(UnexpectedAnswer, match=r"Token \d+ was made, but its secret was lost") as lost:
        through.create_token(name := unique("robot"), "viewer")

    [made] = [token for token in remote.tokens(page_size=1000) if token.name == name]
    assert f"Token {made.id} " in str(lost.value)


@pytest.mark.parametrize("mishap", [LOSE, DROP, BUSY, Answer(502)])
def test_setting_a_value_is_sent_again(through: Client, proxy: Proxy, mishap: object) -> None:
    name = through.register_model(unique()).name
    proxy.script.append(mishap)

    through.set_tag(name, "team", "retention")

    assert through.tags(name) == {"team": "retention"}


@pytest.mark.parametrize("mishap", [LOSE, DROP, UNCERTAIN, Answer(502)])
def test_what_may_have_been_deleted_is_not_deleted_again(through: Client, proxy: Proxy, mishap: object) -> None:
    name = through.register_model(unique()).name
    proxy.seen.clear()
    proxy.script.append(mishap)

    with pytest.raises((Unreachable, Unavailable)):
        through.delete_model(name)

    assert [method for method, _, _ in proxy.seen] == ["DELETE"]


def test_a_deletion_that_was_refused_for_now_is_sent_again(through: Client, proxy: Proxy) -> None:
    name = through.register_model(unique()).name
    proxy.script.append(BUSY)

    through.delete_model(name)

    with pytest.raises(NotFound):
        through.get_model(name)


def test_patience_ends_with_the_refusal(through: Client, proxy: Proxy) -> None:
    proxy.script += [BUSY] * 3

    with pytest.raises(Unavailable, match=r"^Busy\.$") as refused:
        through.whoami()

    assert refused.value.status == 503
    assert len(proxy.seen) == 3


@pytest.mark.parametrize("when", ["3600", "at a date"])
def test_who_asks_to_wait_longer_than_patience_lasts_is_not_waited_for(
    through: Client, proxy: Proxy, when: str
) -> None:
    header = when if when.isdecimal() else format_datetime(datetime(2099, 1, 1, tzinfo=UTC), usegmt=True)
    proxy.script.append(Answer(503, headers={"Retry-After": header}))

    with pytest.raises(Unavailable):
        through.whoami()

    assert len(proxy.seen) == 1


@pytest.mark.parametrize("nonsense", ["soon", "-1", ""])
def test_a_retry_after_that_makes_no_sense_is_no_obstacle(through: Client, proxy: Proxy, nonsense: str) -> None:
    proxy.script.append(Answer(503, headers={"Retry-After": nonsense}))

    assert through.whoami().role == "administrator"


def test_no_answer_is_unreachable() -> None:
    port = free_port()

    with Client(f"http://127.0.0.1:{port}", "x", retries=1) as client, pytest.raises(Unreachable) as failed:
        client.whoami()

    assert failed.value.detail == f"http://127.0.0.1:{port} does not answer: connection refused."
    assert failed.value.status is None


def test_a_service_that_speaks_no_tls_is_not_asked_again(proxy: Proxy) -> None:
    url = proxy.url.replace("http:", "https:")

    with Client(url) as client, pytest.raises(Unreachable) as failed:
        client.whoami()

    assert failed.value.detail == f"{url} does not answer: wrong version number."


def test_a_service_that_takes_too_long_is_unreachable(proxy: Proxy) -> None:
    proxy.script.append(STALL)

    with Client(proxy.url, timeout=0.05, retries=0) as client, pytest.raises(Unreachable, match="took too long"):
        client.whoami()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(through: Client, proxy: Proxy, status: int) -> None:
    proxy.script.append(Answer(status, headers={"Location": "http://elsewhere.example/api"}))

    with pytest.raises(UnexpectedAnswer, match=r"sends us on to http://elsewhere\.example/api"):
        through.whoami()

    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    "answer", [Answer(404, "<html>"), Answer(400, '{"error_code": "INVALID"}'), Answer(200, "<html>"), Answer(500)]
)
def test_what_is_no_registry_is_said_to_be_none(through: Client, proxy: Proxy, answer: Answer) -> None:
    proxy.script.append(answer)

    with pytest.raises(UnexpectedAnswer):
        through.whoami()


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthenticated), (403, Forbidden)])
def test_a_gate_in_between_refuses_as_the_service_would(
    through: Client, proxy: Proxy, status: int, kind: type[ServiceError]
) -> None:
    proxy.script.append(Answer(status, "<html>"))

    with pytest.raises(kind):
        through.whoami()


def test_a_fault_of_the_service_is_not_tried_again(through: Client, proxy: Proxy) -> None:
    fault = {"type": "urn:model-registry:problem:internal-server-error", "detail": "A fault.", "request_id": "r-1"}
    proxy.script.append(Answer(500, json.dumps(fault)))

    with pytest.raises(ServiceError, match="A fault") as failed:
        through.whoami()

    assert type(failed.value) is ServiceError
    assert (failed.value.status, failed.value.request_id) == (500, "r-1")
    assert len(proxy.seen) == 1


def test_refusals_are_told_apart(live: Live, remote: Client) -> None:
    name = remote.register_model(unique()).name

    with pytest.raises(Conflict) as taken:
        remote.register_model(name)
    assert taken.value.type == "urn:model-registry:problem:already-exists"
    assert taken.value.request_id
    with pytest.raises(Invalid):
        remote.register_model("a/b")
    with pytest.raises(NotFound):
        remote.get_version(name, 1)
    with live.client(Role.VIEWER) as viewer, pytest.raises(Forbidden):
        viewer.register_model(unique())
    with Client(live.url, "wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.whoami()
    with Client(live.url) as nobody, pytest.raises(Unauthenticated):
        nobody.whoami()


def test_the_path_of_the_address_is_kept_and_pages_go_on_below_it(through: Client, proxy: Proxy) -> None:
    name = through.register_model(unique()).name
    for text in ("one", "two", "three"):
        through.comment(name, text)
    proxy.seen.clear()

    assert [comment.text for comment in through.comments(name, page_size=2)] == ["one", "two", "three"]
    assert len(proxy.seen) == 2
    assert all(path.startswith("/behind/api/v1/") for _, path, _ in proxy.seen)


def test_the_token_may_stand_in_the_address_and_shows_nowhere(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(live.url.replace("//", f"//any:{live.token}@")) as client:
        assert client.whoami().role == "administrator"
        assert client.url == live.url
        assert live.token not in repr(client)
    client = Client(f"http://{live.token}@127.0.0.1:{free_port()}", retries=0)
    with pytest.raises(Unreachable) as failed:
        client.whoami()
    assert live.token not in str(failed.value)
    assert live.token not in caplog.text


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:5055", "ftp://host", "http://", "http://host:port", "http://host/?x=1", "http://u:hush@host:1:2", ""],
)
def test_what_is_no_address_is_refused_without_repeating_a_token(address: str) -> None:
    with pytest.raises(ValueError, match="no address of a registry") as refused:
        Client(address)

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("token", ["two words", "line\nend", "ümlaut"])
def test_what_cannot_be_a_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(ValueError, match="no token has") as refused:
        Client(token=token)

    assert token not in str(refused.value)


def test_the_surroundings_can_say_where_the_service_is(live: Live) -> None:
    with Client.from_env({"REGISTRY_URL": live.url, "REGISTRY_TOKEN": live.token}) as client:
        assert client.whoami().role == "administrator"
    assert Client.from_env({}).url == "http://127.0.0.1:5055"


def test_the_token_may_come_from_a_file(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{live.token}\n")

    with Client.from_env({"REGISTRY_URL": live.url, "REGISTRY_TOKEN_FILE": str(file)}) as client:
        assert client.whoami().role == "administrator"
    with pytest.raises(ValueError, match="REGISTRY_TOKEN_FILE=/no/file cannot be read: No such file"):
        Client.from_env({"REGISTRY_TOKEN_FILE": "/no/file"})


def test_a_stream_that_breaks_off_is_an_error(through: Client, proxy: Proxy) -> None:
    name = through.register_model(unique()).name
    for _ in range(20):
        through.comment(name, "x" * 1000)
    proxy.script.append(TEAR)

    with pytest.raises(Unreachable, match="broke off before its end"):
        list(through.export(name))


def test_a_watch_asks_for_news_only(live: Live, remote: Client, proxy: Proxy) -> None:
    name = remote.register_model(unique()).name
    remote.register_version(name, "s3://bucket/model")
    with Client(proxy.url, live.token) as client:
        watch = client.watch(f"models:/{name}/1")
        watch.poll()
        assert watch.current is not None
        assert watch.poll() is None

    assert proxy.sent("If-None-Match") == [None, watch.current.etag]
    assert proxy.answered == [200, 304]


def test_a_watch_stands_by_its_answer_while_the_service_is_away(live: Live, remote: Client, proxy: Proxy) -> None:
    name = remote.register_model(unique()).name
    for _ in range(2):
        remote.register_version(name, "s3://bucket/model")
    remote.transition(name, 1, "Production")
    with Client(proxy.url, live.token, retries=0) as client:
        changes = iter(client.watch(f"models:/{name}/Production", every=0.01))
        assert next(changes).version == 1
        remote.transition(name, 2, "Production", archive_existing=True)
        proxy.script += [DROP, Answer(503), Answer(502)]

        assert next(changes).version == 2

    assert proxy.script == []

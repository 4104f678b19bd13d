"""The keys of an issuer: fetched when needed, not too often, within limits, and kept while it is away."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pytest

from registry.errors import Unauthenticated, Unavailable
from registry.identity import fetching, keys
from registry.identity.verifying import Issuers
from tests.identity.conftest import believing, keys_of, later
from tests.identity.issuer import KEYS, Key, LocalIssuer, issuing, say, send

Handler = BaseHTTPRequestHandler


def is_believed(issuers: Issuers, token: str) -> bool:
    try:
        return bool(issuers.verify(token))
    except Unauthenticated:
        return False


def test_keys_are_fetched_once_and_only_when_somebody_comes(local: LocalIssuer) -> None:
    issuers = believing(local)
    assert local.asked == {}
    for _ in range(5):
        assert issuers.verify(local.token())
    assert local.asked == {"/.well-known/openid-configuration": 1, KEYS: 1}


def test_the_address_of_the_keys_can_be_said(local: LocalIssuer) -> None:
    assert believing(local, jwks_url=local.url + KEYS).verify(local.token())
    assert local.asked == {KEYS: 1}


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(local: LocalIssuer) -> None:
    local.answer = lambda path, handler: say(handler, {"issuer": "https://evil.example", "jwks_uri": local.url + KEYS})
    with pytest.raises(Unavailable):
        believing(local).verify(local.token())
    assert KEYS not in local.asked


@pytest.mark.parametrize("where", ["http://keys.example/keys", "file:///etc/passwd", "", "https://u:p@h/", "ftp://h/k"])
def test_keys_are_fetched_from_safe_addresses_alone(local: LocalIssuer, where: str) -> None:
    local.answer = lambda path, handler: say(handler, {"issuer": local.url, "jwks_uri": where})
    with pytest.raises(Unavailable):
        believing(local).verify(local.token())


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(local: LocalIssuer, signing: dict[str, Key]) -> None:
    issuers, old, new = believing(local), local.keys[0], signing["other"]
    assert issuers.verify(local.token())
    local.keys = [old, new]
    assert not is_believed(issuers, local.token(new))  # we have just looked
    later(issuers, keys.REFRESH_SECONDS)
    assert issuers.verify(local.token(new))
    assert issuers.verify(local.token(old))
    local.keys = [new]
    later(issuers, keys.FRESH_SECONDS + 1)
    assert issuers.verify(local.token(new))
    assert not is_believed(issuers, local.token(old))
    assert local.asked[KEYS] == 3


def test_a_key_that_was_replaced_under_its_name_is_found(local: LocalIssuer, signing: dict[str, Key]) -> None:
    issuers = believing(local)
    assert issuers.verify(local.token())
    local.keys = [Key(signing["other"].private, "RS256", "rsa-1")]
    later(issuers, keys.REFRESH_SECONDS)
    assert issuers.verify(local.token())


def test_a_storm_of_unknown_keys_is_one_look(local: LocalIssuer, signing: dict[str, Key]) -> None:
    issuers = believing(local)
    assert issuers.verify(local.token())
    later(issuers, keys.REFRESH_SECONDS)
    tokens = [local.token(Key(signing["other"].private, "RS256", f"made-up-{number}")) for number in range(40)]
    start = threading.Barrier(8)

    def storm(number: int) -> list[bool]:
        start.wait()
        return [is_believed(issuers, token) for token in tokens[number::8]]

    with ThreadPoolExecutor(8) as pool:
        assert not any(any(found) for found in pool.map(storm, range(8)))
    assert local.asked[KEYS] == 2
    assert issuers.verify(local.token())


def test_those_who_come_together_at_first_are_served_by_one_look(local: LocalIssuer) -> None:
    def slowly(path: str, handler: Handler) -> None:
        time.sleep(0.2)
        say(handler, local.published(path))

    local.answer = slowly
    issuers, token, start = believing(local), local.token(), threading.Barrier(8)

    def come(_: int) -> bool:
        start.wait()
        return is_believed(issuers, token)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(come, range(8)))
    assert local.asked[KEYS] == 1


def test_while_the_issuer_is_away_nothing_can_be_said_and_later_it_can(signing: dict[str, Key]) -> None:
    with issuing() as gone:
        gone.keys = [signing["rsa"]]
        port = int(gone.url.rpartition(":")[2])
    issuers, token = believing(gone), gone.token()
    with pytest.raises(Unavailable) as refused:
        issuers.verify(token)
    assert 1 <= refused.value.retry_after <= keys.REFRESH_SECONDS
    assert "'corp' cannot be fetched" in refused.value.message
    with issuing(port) as back:
        back.keys = [signing["rsa"]]
        later(issuers, keys.REFRESH_SECONDS)
        assert issuers.verify(token)


def test_with_keys_at_hand_it_goes_on_without_the_issuer_for_a_day(signing: dict[str, Key]) -> None:
    with issuing() as local:
        local.keys = [signing["rsa"]]
        issuers = believing(local)
        assert issuers.verify(local.token())
    later(issuers, keys.KEPT_SECONDS - 60)
    assert issuers.verify(local.token())
    later(issuers, 120)
    with pytest.raises(Unavailable):
        issuers.verify(local.token())


BAD: dict[str, Callable[[str, Handler], None]] = {
    "no JSON": lambda _, handler: send(handler, 200, b"<html>sign in</html>"),
    "no object": lambda _, handler: send(handler, 200, b'["keys"]'),
    "no list of keys": lambda _, handler: send(handler, 200, b'{"keys": {"a": 1}}'),
    "no keys": lambda _, handler: send(handler, 200, b'{"keys": []}'),
    "keys that are none": lambda _, handler: send(handler, 200, b'{"keys": [1, null, {}, {"kty": "RSA"}, []]}'),
    "too many keys": lambda _, handler: send(handler, 200, b'{"keys": [' + b"1," * 50 + b"1]}"),
    "nothing": lambda _, handler: send(handler, 200, b""),
    "deep JSON": lambda _, handler: send(handler, 200, b"[" * 100_000),
    "bytes that are no text": lambda _, handler: send(handler, 200, b"\xff\xfe"),
    "a fault": lambda _, handler: send(handler, 500, b"{}"),
    "no such thing": lambda _, handler: send(handler, 404, b"{}"),
    "something packed": lambda _, handler: send(handler, 200, b"\x1f\x8b" + b"x" * 100, Content_Encoding="gzip"),
    "less than it promised": lambda _, handler: send(handler, 200, b"{", Content_Length="100"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_no_set_of_keys_changes_nothing(
    local: LocalIssuer, monkeypatch: pytest.MonkeyPatch, bad: Callable[[str, Handler], None]
) -> None:
    monkeypatch.setattr(fetching, "ALTOGETHER_SECONDS", 0.5)
    monkeypatch.setattr(fetching, "READ_SECONDS", 0.3)
    issuers = believing(local, jwks_url=local.url + KEYS)
    assert issuers.verify(local.token())
    local.answer = bad
    later(issuers, keys.FRESH_SECONDS + 1)
    assert issuers.verify(local.token())
    assert local.asked[KEYS] == 2
    fresh = believing(local, jwks_url=local.url + KEYS)
    with pytest.raises(Unavailable):
        fresh.verify(local.token())
    assert not keys_of(fresh).known


def keys_as_json(local: LocalIssuer) -> bytes:
    return json.dumps(local.published(KEYS)).encode()


def too_much(local: LocalIssuer, _: str, handler: Handler) -> None:
    send(handler, 200, keys_as_json(local) + b" " * fetching.LONGEST)


def too_slowly(local: LocalIssuer, _: str, handler: Handler) -> None:
    """A byte now and then, so that no single wait is long."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        for _number in range(25):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
        handler.wfile.write(keys_as_json(local))


def elsewhere(local: LocalIssuer, path: str, handler: Handler) -> None:
    if path == KEYS:
        send(handler, 302, b"", Location=f"{local.url}/elsewhere")
    else:
        send(handler, 200, keys_as_json(local))


@pytest.mark.parametrize("way", [too_much, too_slowly, elsewhere])
def test_even_the_right_keys_are_not_taken_if_they_come(
    local: LocalIssuer, monkeypatch: pytest.MonkeyPatch, way: Callable[[LocalIssuer, str, Handler], None]
) -> None:
    monkeypatch.setattr(fetching, "ALTOGETHER_SECONDS", 0.5)
    local.answer = lambda path, handler: way(local, path, handler)
    issuers = believing(local, jwks_url=local.url + KEYS)
    with pytest.raises(Unavailable):
        issuers.verify(local.token())
    assert not keys_of(issuers).known


def test_an_issuer_that_says_nothing_is_not_waited_for(local: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(fetching, "READ_SECONDS", 0.2)
    local.answer = lambda path, handler: (released.wait(20), None)[1]
    try:
        with pytest.raises(Unavailable):
            believing(local).verify(local.token())
    finally:
        released.set()

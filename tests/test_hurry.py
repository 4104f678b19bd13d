"""What is read and sent by way of a connection whose caller has so long."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.http.errors import NoMoreData

from registry.hurry import LONGEST_TOGETHER, Hurried

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Counting:
    """A socket that notes what it is given to send, piece by piece."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self.sent: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def sendall(self, piece: bytes) -> None:
        self.sent.append(piece)
        self._inner.sendall(piece)


@pytest.fixture
def both() -> Iterator[tuple[Counting, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Counting(ours), theirs


def begun(ours: Any, seconds: float = 5.0) -> Hurried:
    hurried = Hurried(ours)
    hurried.begin(seconds)
    return hurried


def test_a_head_goes_along_with_its_body(both: tuple[Counting, socket.socket]) -> None:
    ours, _ = both
    hurried = begun(ours)
    hurried.sendall(HEAD)
    hurried.sendall(b"ok")
    hurried.sendall(b"more")
    hurried.end()
    assert ours.sent == [HEAD + b"ok", b"more"]


def test_a_head_without_a_body_is_sent_at_the_end(both: tuple[Counting, socket.socket]) -> None:
    ours, _ = both
    hurried = begun(ours)
    hurried.sendall(HEAD)
    assert not ours.sent
    hurried.end()
    assert ours.sent == [HEAD]


def test_who_is_waited_for_has_had_the_head(both: tuple[Counting, socket.socket]) -> None:
    """Of a body that is not read, gunicorn takes the rest before the next request: the caller may not send it."""
    ours, _ = both
    hurried = begun(ours, seconds=0.1)
    hurried.sendall(HEAD)
    with pytest.raises(NoMoreData):
        hurried.recv(100)
    assert ours.sent == [HEAD]


def test_a_large_piece_is_not_copied(both: tuple[Counting, socket.socket]) -> None:
    ours, theirs = both
    hurried, large = begun(ours), b"x" * (LONGEST_TOGETHER + 1)
    hurried.sendall(HEAD)
    hurried.sendall(large)
    assert ours.sent == [HEAD, large]
    assert theirs.recv(len(HEAD)) == HEAD


def test_a_file_is_sent_behind_its_head(both: tuple[Counting, socket.socket], tmp_path: Path) -> None:
    ours, theirs = both
    file = tmp_path / "page"
    file.write_bytes(b"a page")
    hurried = begun(ours)
    hurried.sendall(HEAD)
    with file.open("rb") as opened:
        assert hurried.sendfile(opened, offset=2, count=4) == 4  # as gunicorn says it
    hurried.end()
    assert theirs.recv(1_000) == HEAD + b"page"


@pytest.mark.parametrize("leave", [lambda one: one.close(), lambda one: one.shutdown(socket.SHUT_WR)])
def test_who_is_left_has_had_the_head(both: tuple[Counting, socket.socket], leave: Any) -> None:
    ours, theirs = both
    hurried = begun(ours)
    hurried.sendall(HEAD)
    leave(hurried)
    assert theirs.recv(1_000) == HEAD
    assert theirs.recv(1_000) == b""


def test_what_has_arrived_is_read_without_waiting_and_what_has_not_is_waited_for_so_long(
    both: tuple[Counting, socket.socket],
) -> None:
    ours, theirs = both
    hurried = begun(ours, seconds=0.2)
    theirs.sendall(b"here")
    assert hurried.recv(100) == b"here"
    with pytest.raises(NoMoreData):
        hurried.recv(100)
    assert hurried.late


@pytest.mark.parametrize(("request_seconds", "set_seconds"), [(0.1, 5.0), (5.0, 0.1)])
def test_of_two_times_the_shorter_one_counts(
    both: tuple[Counting, socket.socket], request_seconds: float, set_seconds: float
) -> None:
    """Gunicorn sets one itself where it drops the rest of a body."""
    ours, _ = both
    hurried, before = begun(ours, seconds=request_seconds), time.monotonic()
    hurried.settimeout(set_seconds)
    with pytest.raises(NoMoreData if request_seconds < set_seconds else TimeoutError):
        hurried.recv(100)
    assert time.monotonic() - before < 2.0
    assert (hurried.late, hurried.gettimeout()) == (request_seconds < set_seconds, set_seconds)


def test_what_is_set_outside_of_a_request_holds(both: tuple[Counting, socket.socket]) -> None:
    """Gunicorn waits for a while until who was answered hangs up."""
    ours, theirs = both
    ours.setblocking(False)  # as gunicorn has it while nobody asks
    hurried = Hurried(ours)
    hurried.settimeout(0.05)
    with pytest.raises(TimeoutError):
        hurried.recv(100)
    hurried.setblocking(False)
    with pytest.raises(BlockingIOError):
        hurried.recv(100)
    hurried.setblocking(True)
    theirs.sendall(b"here")
    assert hurried.recv(100) == b"here"
    assert ours.gettimeout() is None


def test_outside_of_a_request_nothing_is_held_back(both: tuple[Counting, socket.socket]) -> None:
    ours, _ = both
    hurried = begun(ours)
    hurried.end()
    hurried.sendall(HEAD)
    assert ours.sent == [HEAD]

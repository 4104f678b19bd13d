"""Threads that wait for requests themselves."""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from selectors import DefaultSelector
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from registry.sharing import SharingWorker
from registry.taking import MOST_UNREAD, NOBODY, SECONDS_BETWEEN_LOOKS, SECONDS_TO_LEAVE, Resting, worker_class
from tests.cli.running import ROOT, Service, service

TOKEN = "a-token-for-measuring-0123456789"
WHO = b"Authorization: Bearer " + TOKEN.encode()
GET = b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\n" + WHO + b"\r\nX-Request-ID: %d\r\n\r\n"
PATIENCE = 15
"""Seconds; less than gunicorn's graceful timeout, more than anything takes here."""


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Service]:
    settings = {
        "REGISTRY_DATABASE_URL": database_url,
        "REGISTRY_ADMIN_TOKEN": TOKEN,
        "REGISTRY_WORKERS": "1",
        "REGISTRY_THREADS": "2",
    }
    with service(tmp_path, **settings) as running:
        yield running


def connect(running: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE)


def answered(connection: socket.socket, requests: int) -> list[bytes]:
    """The ids of as many answers, in the order in which they come."""
    said = b""
    while said.count(b"\r\n\r\n") < requests or not said.endswith(b"}\n"):
        said += connection.recv(65536)
    return [line.split()[1] for line in said.split(b"\r\n") if line.startswith(b"X-Request-ID:")]


def test_what_is_sent_at_once_is_answered_one_by_one(running: Service) -> None:
    with connect(running) as connection:
        for first in (0, 3):
            connection.sendall(b"".join(GET % number for number in range(first, first + 3)))
            assert answered(connection, 3) == [b"%d" % number for number in range(first, first + 3)]


def test_many_stay_connected_and_take_turns(running: Service) -> None:
    """More than there are threads: each waits until a thread takes it."""
    connections = [connect(running) for _ in range(20)]
    try:
        for number in range(5):
            for connection in connections:
                connection.sendall(GET % number)
            assert [answered(connection, 1) for connection in connections] == [[b"%d" % number]] * 20
    finally:
        for connection in connections:
            connection.close()


def test_a_service_that_stops_does_not_wait_for_those_who_ask_nothing(running: Service) -> None:
    with connect(running) as connection:
        connection.sendall(GET % 1)
        assert answered(connection, 1) == [b"1"]
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
        assert connection.recv(100) == b""


@pytest.mark.parametrize("connected", ["before", "anew"])
def test_who_asked_before_the_stop_is_answered_however_long_the_threads_are_busy(
    running: Service, connected: str
) -> None:
    """What he sent is there, but nobody has looked yet: he is not one who asks nothing."""
    post = b"POST /api/v1/models HTTP/1.1\r\nHost: localhost\r\n" + WHO + b"\r\nContent-Length: 2\r\n\r\n"
    with ExitStack() as all_of_them:
        waiting = all_of_them.enter_context(connect(running))
        if connected == "before":
            waiting.sendall(GET % 1)
            assert answered(waiting, 1) == [b"1"]
        busy = [all_of_them.enter_context(connect(running)) for _ in range(2)]
        for connection in busy:
            connection.sendall(post + b"{")
        time.sleep(0.3)
        waiting.sendall(GET % 2)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(STOP_KEEPALIVE_LINGER + 1.5)
        for connection in busy:
            connection.sendall(b"}")
            assert connection.recv(65536).startswith(b"HTTP/1.1 4")
        assert answered(waiting, 1) == [b"2"]
    assert running.process.wait(PATIENCE) == 0


def test_who_hangs_up_and_who_comes_anew_mix_with_those_who_stay(running: Service) -> None:
    """Files of connections have numbers, which are given again."""
    with connect(running) as staying:
        for number in range(30):
            with connect(running) as passing:
                if number % 3:
                    passing.sendall(GET % number)
                    assert answered(passing, 1) == [b"%d" % number]
            staying.sendall(GET % number)
            assert answered(staying, 1) == [b"%d" % number]


def test_a_request_in_pieces_is_one(running: Service) -> None:
    with connect(running) as connection:
        for number in range(2):
            for piece in ((GET % number)[:20], (GET % number)[20:]):
                time.sleep(0.05)
                connection.sendall(piece)
            assert answered(connection, 1) == [b"%d" % number]


def test_without_what_it_needs_gunicorn_serves_as_ever(database_url: str, tmp_path: Path) -> None:
    """As on other systems than Linux."""
    assert worker_class(known_here=False) is ThreadWorker
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.eventfd\n")
    settings = {"REGISTRY_DATABASE_URL": database_url, "REGISTRY_ADMIN_TOKEN": TOKEN, "REGISTRY_THREADS": "2"}
    with service(tmp_path, PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}", **settings) as running:
        connections = [connect(running) for _ in range(5)]
        for connection in connections * 2:
            connection.sendall(GET % 1 + GET % 2)
            assert answered(connection, 2) == [b"1", b"2"]
        for connection in connections:
            connection.close()
        assert running.stop() == 0
    assert not [line for line in running.said.splitlines() if "trace" in line]


def test_callers_that_do_not_hang_up_keep_nobody_out(running: Service) -> None:
    """Gunicorn's main thread waits two seconds for each, and lets nobody in meanwhile."""
    last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    staying = [connect(running) for _ in range(6)]
    try:
        for connection in staying:
            connection.sendall(last)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        before = time.monotonic()
        for _ in range(3):
            with connect(running) as connection:
                connection.sendall(last)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
            time.sleep(0.1)
        assert time.monotonic() - before < SECONDS_TO_LEAVE
    finally:
        for connection in staying:
            connection.close()


class Connection:
    """One that rests, as gunicorn knows it."""

    def __init__(self, sock: socket.socket, timeout: float = 65.0) -> None:
        self.sock, self.parser, self.timeout, self.closed = sock, None, timeout, 0
        self.initialized = False

    def set_timeout(self) -> None:
        """As gunicorn does."""
        self.timeout = time.monotonic() + 65

    def close(self) -> None:
        """Count it."""
        self.closed += 1


@pytest.fixture
def worker() -> Iterator[Any]:
    """A worker that has the two ends of a connection, without its threads."""
    made: Any = SharingWorker.__new__(SharingWorker)
    made.alive, made._over, made._by_file, made.deferred = True, False, {}, []
    made.keepalived_conns, made.pending_conns, made.nr_conns, made.worker_connections = Resting(), Resting(), 1, 1_000
    made.method_queue = SimpleNamespace(defer=lambda *given: made.deferred.append(given))
    made.cfg, made.show, made._shown = SimpleNamespace(threads=2), None, 0.0
    made._showing, made._expected = threading.Lock(), {}
    with select.epoll() as made._ready:
        yield made


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), theirs


def wait_until(it_is_so: Callable[[], bool]) -> None:
    """Give other threads the time that they need."""
    deadline = time.monotonic() + PATIENCE
    while not it_is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_request_is_taken_once(worker: Any, pair: tuple[Connection, socket.socket]) -> None:
    """However many threads wait, until it is waited for the next one."""
    connection, theirs = pair
    taken: list[Any] = []
    woken: list[int] = []

    class ByFile(dict[int, Any]):
        def pop(self, file: int, *given: Any) -> Any:
            woken.append(file)
            return super().pop(file, *given)

    def is_taken(times: int) -> bool:
        return len(taken) == times

    worker._deal_with, worker._by_file = taken.append, ByFile()
    worker._wait(connection)
    threads = [threading.Thread(target=worker._take) for _ in range(4)]
    for one in threads:
        one.start()
    for times in (1, 2):
        theirs.sendall(b"a request")
        wait_until(partial(is_taken, times))
        time.sleep(0.05)
        assert taken == [connection] * times
        assert len(woken) == times  # who is not to have it is not told of it
        connection.sock.recv(100)
        worker._wait(connection)
    worker._over = True
    for one in threads:
        one.join(PATIENCE)
    assert not any(one.is_alive() for one in threads)


def test_threads_end_though_the_worker_is_told_to_quit_before_all_have_begun(worker: Any) -> None:
    """Or the interpreter would wait for them at its end."""
    begun: list[threading.Thread] = []

    def submit(take: Any) -> None:
        if begun:
            raise SystemExit(0)  # as gunicorn does on SIGQUIT, wherever the main thread is
        begun.append(threading.Thread(target=take))
        begun[0].start()

    worker.tpool = SimpleNamespace(submit=submit)
    try:
        with pytest.raises(SystemExit):
            worker.run()
        begun[0].join(2 * SECONDS_BETWEEN_LOOKS)
        assert not begun[0].is_alive()
    finally:
        worker._over = True
        begun[0].join(PATIENCE)


def test_whoever_has_a_connection_has_it_alone(worker: Any, pair: tuple[Connection, socket.socket]) -> None:
    """Of a thread that takes it and the main thread that closes it because its time is over."""
    connection, _ = pair
    worker._wait(connection)
    connection.timeout = 0.0
    assert worker.keepalived_conns.take(connection)
    worker.murder_keepalived()
    assert (connection.closed, worker.nr_conns) == (0, 1)

    worker._wait(connection)
    connection.timeout = 0.0
    worker.murder_keepalived()
    assert (connection.closed, worker.nr_conns) == (1, 0)
    assert not worker.keepalived_conns.take(connection)
    assert not worker._by_file


def test_whose_time_is_over_but_who_has_asked_is_waited_for_anew(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    """All threads have been busy since: to close the connection would lose his request."""
    connection, theirs = pair
    taken: list[Any] = []
    worker._deal_with = taken.append
    worker._wait(connection)
    theirs.sendall(b"a request")
    connection.timeout = 0.0
    worker.murder_keepalived()
    assert (connection.closed, worker.nr_conns) == (0, 1)
    assert connection.timeout > time.monotonic()
    take_one(worker)
    assert taken == [connection]

    worker._wait(connection)
    worker.murder_keepalived(force=True)
    assert (connection.closed, worker.nr_conns) == (1, 0)


def test_who_comes_too_late_for_a_connection_leaves_it(worker: Any, pair: tuple[Connection, socket.socket]) -> None:
    """A thread that was woken, or the main thread that has seen whose time is over: the other one was first."""
    connection, theirs = pair

    class Stale(Resting):
        """Shows the main thread one that is no longer there, once."""

        shown = iter([connection])

        def __getitem__(self, _: Any) -> Any:
            return next(self.shown, NOBODY)

    taken: list[Any] = []
    worker._deal_with = taken.append
    worker._wait(connection)
    assert worker.keepalived_conns.take(connection)
    theirs.sendall(b"a request")
    thread = threading.Thread(target=worker._take)
    thread.start()
    wait_until(lambda: not worker._by_file)
    time.sleep(0.05)
    assert not taken
    worker._over = True
    thread.join(PATIENCE)

    worker.keepalived_conns = Stale()
    worker.murder_keepalived(force=True)
    assert (connection.closed, worker.nr_conns) == (0, 1)


def take_one(worker: Any) -> None:
    """What a thread does that finds something."""
    [(file, _)] = worker._ready.poll(PATIENCE, 1)
    connection, resting, then = worker._by_file.pop(file)
    assert resting.take(connection)
    then(connection)


def test_who_was_answered_for_the_last_time_may_send_what_nobody_reads_and_hang_up(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    connection, theirs = pair
    worker.handle = lambda _: False
    worker._deal_with(connection)
    assert theirs.recv(1) == b""  # he sees that no more comes
    assert worker._load() == 1  # and no thread waits for him
    for _ in range(3):
        theirs.sendall(b"more")
        take_one(worker)
        assert (list(worker.pending_conns), worker.deferred) == ([connection], [])
    theirs.close()
    take_one(worker)
    assert (list(worker.pending_conns), worker.deferred) == ([], [(worker._part, connection)])
    worker._part(connection)
    assert (connection.closed, worker.nr_conns) == (1, 0)


def test_who_sends_without_end_after_the_last_answer_is_cut_off(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    connection, theirs = pair
    worker.handle = lambda _: False
    worker._deal_with(connection)
    sent = 0
    while not worker.deferred:
        theirs.sendall(b"x" * 4_096)
        sent += 4_096
        take_one(worker)
    assert sent == MOST_UNREAD


def test_who_does_not_hang_up_after_the_last_answer_is_cut_off(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    connection, _ = pair
    worker.handle = lambda _: False
    worker._deal_with(connection)
    worker.murder_pending()
    assert connection.closed == 0
    assert time.monotonic() < connection.timeout <= time.monotonic() + SECONDS_TO_LEAVE
    connection.timeout = time.monotonic()
    worker.murder_pending()
    assert (connection.closed, worker.nr_conns, worker._by_file) == (1, 0, {})


def test_who_has_hung_up_already_is_counted_off(worker: Any, pair: tuple[Connection, socket.socket]) -> None:
    connection, _ = pair
    connection.sock.close()  # as gunicorn does where TLS ends in the middle
    worker.handle = lambda _: False
    worker._deal_with(connection)
    [(finish, given, dealt)] = worker.deferred
    assert (finish, given) == (worker.finish_request, connection)
    with pytest.raises(OSError, match="Bad file"):
        dealt.result()


def test_the_main_thread_closes_those_whose_time_is_over_and_no_others(worker: Any) -> None:
    with socket.socket() as ours:
        late, soon = Connection(ours, time.monotonic() - 1), Connection(ours, time.monotonic() + 60)
        worker.keepalived_conns.extend([late, soon])
        worker.murder_keepalived()
        assert (late.closed, soon.closed, list(worker.keepalived_conns)) == (1, 0, [soon])
        worker.murder_keepalived(force=True)
        assert (soon.closed, list(worker.keepalived_conns)) == (1, [])


def test_the_first_of_nobody_waits_without_end() -> None:
    """Gunicorn sees that somebody waits, and then looks who is the first: a thread may have taken him by then."""
    assert Resting()[0] is NOBODY
    assert Resting([1])[0] == 1


def test_a_connection_that_cannot_be_waited_for_is_counted_off_once(worker: Any) -> None:
    worker.handle = lambda _: True
    with open("/dev/null", "rb") as file:
        connection = Connection(file)  # type: ignore[arg-type]
        worker._deal_with(connection)
        worker.murder_keepalived(force=True)
    [(finish, given, dealt)] = worker.deferred
    assert (finish, given) == (worker.finish_request, connection)
    with pytest.raises(PermissionError):
        dealt.result()
    assert (connection.closed, worker.nr_conns) == (0, 1)  # finish_request does both


def test_the_main_thread_goes_on_though_a_new_connection_cannot_be_waited_for(worker: Any) -> None:
    with open("/dev/null", "rb") as file:
        connection = Connection(file)  # type: ignore[arg-type]
        worker.enqueue_req(connection)
    assert (connection.closed, worker.nr_conns) == (1, 0)


def test_a_thread_outlives_whatever_comes_of_a_request(worker: Any, pair: tuple[Connection, socket.socket]) -> None:

    def leave(_: Any) -> None:
        raise SystemExit(1)

    worker.handle = leave
    worker._deal_with(pair[0])
    with pytest.raises(SystemExit):
        worker.deferred[0][2].result()


def test_who_is_waited_for_after_the_stop_is_so_no_longer_than_all_others(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    """Its worker has looked at those who wait by then, or does so afterwards."""
    worker.alive = False
    worker._wait(pair[0])
    assert list(worker.keepalived_conns) == [pair[0]]
    assert pair[0].timeout <= time.monotonic() + STOP_KEEPALIVE_LINGER


def test_who_comes_to_wait_in_the_moment_of_the_stop_does_so_no_longer_than_all_others(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    class Late(Resting):
        """Its worker is told to stop, and looks at those who wait, just before one is added."""

        def append(self, conn: Any) -> None:
            worker.alive = False
            worker._cap_keepalive(time.monotonic() + STOP_KEEPALIVE_LINGER)
            super().append(conn)

    worker.keepalived_conns = Late()
    worker._wait(pair[0])
    assert pair[0].timeout <= time.monotonic() + STOP_KEEPALIVE_LINGER


def test_who_stops_looks_at_those_who_wait_while_more_come(worker: Any) -> None:
    class Waiting:
        """A connection while whose time is set another one is handed back."""

        timeout = 65.0

        def __setattr__(self, name: str, value: float) -> None:
            super().__setattr__(name, value)
            worker.keepalived_conns.append(SimpleNamespace(timeout=65.0))

    worker.keepalived_conns.extend([Waiting(), Waiting()])
    worker._cap_keepalive(2.0)
    assert [one.timeout for one in worker.keepalived_conns][:2] == [2.0, 2.0]


def test_the_others_hear_at_once_of_a_worker_whose_threads_are_all_at_work_and_of_one_that_is_free_again(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    """Nobody wakes the main thread, which tells them of all else."""
    told: list[float] = []
    worker.show, worker.nr_conns = told.append, 2
    worker.handle = lambda _: True
    worker._deal_with(pair[0])
    assert told == [1_002, 2]


def test_who_was_let_in_is_as_good_as_served_until_he_asks_nothing_soon(
    worker: Any, pair: tuple[Connection, socket.socket]
) -> None:
    """Or one worker lets in all who come at once, before its threads have had the time to take any."""
    connection, theirs = pair
    worker.cfg.threads, worker._knocked = 1, {}
    worker.enqueue_req(connection)
    assert worker._load() == 1_001
    with DefaultSelector() as worker.poller:
        worker.wait_for_and_dispatch_events(1.0)
    assert worker._load() == 1

    worker._by_file.clear()
    worker.keepalived_conns.clear()
    worker.enqueue_req(connection)
    worker.handle = lambda _: True
    theirs.sendall(b"a request")
    take_one(worker)
    assert worker._load() == 1

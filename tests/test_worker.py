"""How gunicorn's worker leaves."""

import socket
import threading
from selectors import EVENT_READ, BaseSelector, DefaultSelector
from types import SimpleNamespace
from typing import Any

import pytest

from registry.door import SHAKEN_SECONDS
from registry.sharing import SharingWorker
from registry.taking import Resting
from registry.worker import Worker


def test_who_waits_at_the_door_is_let_in_and_then_it_is_closed() -> None:
    let_in: list[socket.socket] = []

    class Leaving(Worker):
        def __init__(self, *listeners: socket.socket) -> None:
            self.sockets = listeners

        def accept(self, listener: Any) -> None:
            let_in.append(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
        waiting = [socket.create_connection(where) for _ in range(3)]
        Leaving(listener).leave()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(where)
    assert sorted(one.getpeername() for one in let_in) == sorted(one.getsockname() for one in waiting)
    for one in (*let_in, *waiting):
        one.close()


def test_who_is_half_connected_is_let_in_too() -> None:
    """On a network a moment passes from the first packet of a caller to the one that connects him."""
    let_in: list[socket.socket] = []

    class Leaving(Worker):
        def __init__(self, *listeners: socket.socket) -> None:
            self.sockets = listeners

        def accept(self, listener: Any) -> None:
            let_in.append(listener.accept()[0])
            if len(let_in) == 1:
                threading.Timer(SHAKEN_SECONDS / 4, late.connect, [where]).start()

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        where = listener.getsockname()
        with socket.create_connection(where):
            Leaving(listener).leave()
    assert len(let_in) == 2
    for one in let_in:
        one.close()


def test_a_worker_that_has_as_few_as_the_others_by_now_waits_no_longer() -> None:
    """Or two of them would wait for each other: each had the caller before, who connects anew for each request."""
    let_in: list[Any] = []

    class Waiting(SharingWorker):
        def __init__(self, poller: BaseSelector) -> None:
            self.poller, self.alive, self.nr_conns, self.worker_connections = poller, True, 1, 1_000
            self.keepalived_conns, self.pending_conns = Resting(), Resting()
            self.cfg = SimpleNamespace(threads=4)
            self._knocked, self._expected, self._shown, self._showing = {}, {}, 0.0, threading.Lock()
            self.fewest = lambda: 0

        def _let_in(self, listener: Any) -> None:
            let_in.append(listener)

    with socket.create_server(("127.0.0.1", 0)) as listener, DefaultSelector() as poller:
        worker = Waiting(poller)
        poller.register(listener, EVENT_READ, worker.accept)
        worker.accept(listener)
        assert not poller.get_map()
        worker.wait_for_and_dispatch_events(1.0)
        assert not poller.get_map()  # somebody else may open
        worker.nr_conns = 0
        worker.wait_for_and_dispatch_events(1.0)
        assert [key.fileobj for key in poller.get_map().values()] == [listener]
    assert not let_in

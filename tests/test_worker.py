"""How gunicorn's worker leaves."""

import socket
from typing import Any

import pytest

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

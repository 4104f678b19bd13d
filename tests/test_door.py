"""How a service that stops closes its door; cli/test_serve.py shows the same with real processes."""

import logging
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from registry.door import KNOWN_HERE, close_at_stop, refuse_new

pytestmark = pytest.mark.skipif(not KNOWN_HERE, reason="the system cannot refuse callers of a socket that is open")
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.mark.parametrize("family", HOSTS)
def test_who_is_connected_can_be_let_in_and_who_comes_later_is_refused(family: socket.AddressFamily) -> None:
    with socket.create_server((HOSTS[family], 0), family=family) as listener:
        where = listener.getsockname()[:2]
        with socket.create_connection(where) as early:
            refuse_new(listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(where)
            with listener.accept()[0] as let_in:
                early.sendall(b"asked")
                let_in.sendall(let_in.recv(5).upper())
                assert early.recv(8) == b"ASKED"


class Arbiter:
    """Gunicorn's parent process, as far as it closes doors."""

    def __init__(self, listener: Any, **differs: Any) -> None:
        self.LISTENERS = [SimpleNamespace(FAMILY=listener.family, sock=listener)]
        self.reexec_pid = self.master_pid = 0
        self.systemd = False
        self.cfg = SimpleNamespace(address=[("127.0.0.1", 5055)])
        self.log = logging.getLogger(__name__)
        self.found: list[bool] = []
        self.__dict__ |= differs

    def stop(self, graceful: bool = True) -> None:
        """Note whether somebody who comes now is refused."""
        try:
            socket.create_connection(self.LISTENERS[0].sock.getsockname()).close()
        except ConnectionRefusedError:
            self.found.append(True)
        else:
            self.found.append(False)


@pytest.mark.parametrize(
    ("differs", "graceful", "refused"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"reexec_pid": 7}, True, False),
        ({"master_pid": 7}, True, False),
        ({"systemd": True}, True, False),
        ({"cfg": SimpleNamespace(address=[3])}, True, False),
    ],
    ids=["alone", "at once", "replaced by another", "to replace another", "of systemd", "given"],
)
def test_new_callers_are_refused_before_workers_are_told_unless_others_have_the_socket(
    differs: dict[str, Any], graceful: bool, refused: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arbiter = Arbiter(listener, **differs)
        close_at_stop(arbiter)
        arbiter.stop(graceful)
    assert arbiter.found == [refused]


def test_where_the_system_cannot_do_it_the_service_stops_all_the_same() -> None:
    stopped: list[bool] = []

    class Old:
        def setsockopt(self, *_: Any) -> None:
            raise PermissionError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        arbiter = Arbiter(listener, LISTENERS=[SimpleNamespace(FAMILY=socket.AF_INET, sock=Old())], stop=stopped.append)
        close_at_stop(arbiter)
        arbiter.stop(True)
    assert stopped == [True]


def test_a_socket_in_the_file_system_is_left_alone(tmp_path: Any) -> None:
    stopped: list[bool] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        arbiter = Arbiter(listener, stop=stopped.append)
        close_at_stop(arbiter)
        arbiter.stop(True)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(tmp_path / "socket"))
    assert stopped == [True]


def test_elsewhere_all_is_as_gunicorn_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arbiter = Arbiter(listener)
        close_at_stop(arbiter, known_here=False)
        arbiter.stop(True)
    assert arbiter.found == [False]

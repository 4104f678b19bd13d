"""How a service that stops closes its door: nobody is connected to it any more whom nobody will let in.

The kernel connects callers by itself, before anybody lets them in, and cuts off those who still wait when the last
process closes the listening socket. Between the last look whether somebody waits and that moment a few milliseconds
pass on a busy machine. So the socket is first bound to a network device that does not exist: the kernel then finds
nobody who listens for a new caller and refuses him at once, as it will a moment later; whoever is connected, or half
so, has found the socket already and can still be let in.

Linux 5.7 lets everybody do that (net/core/sock.c, sock_bindtoindex_locked). On other systems those are cut off who come
in these milliseconds.
"""

import socket
import sys
from typing import Any

KNOWN_HERE = sys.platform == "linux"
SO_BINDTOIFINDEX = 62
"""Linux, asm-generic/socket.h; Python has no name for it."""
NO_DEVICE = 2**31 - 1
"""The largest number that a device can have. They are counted from 1."""
SHAKEN_SECONDS = 0.02
"""How long those are waited for who are half connected: a way there and back within a data centre is far shorter."""


def refuse_new(listener: socket.socket) -> None:
    """Have the kernel refuse all who call at a listening TCP socket from now on, in whatever process it is open.

    Those who are connected already can still be let in.

    :raises OSError: the system cannot do that.
    """
    listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_DEVICE)


def close_at_stop(arbiter: Any, *, known_here: bool = KNOWN_HERE) -> None:
    """Have gunicorn's parent process refuse new callers before it tells its workers to finish what they have begun."""
    stop = arbiter.stop

    def refuse_and_stop(graceful: bool = True) -> None:
        if graceful and known_here and listens_alone(arbiter):
            refuse_all(arbiter)
        stop(graceful)

    arbiter.stop = refuse_and_stop


def listens_alone(arbiter: Any) -> bool:
    """Whether nobody else has the sockets: all who have them would be called by nobody.

    Others do while gunicorn is replaced by a new one (SIGUSR2), and where the sockets were given to it.
    """
    given = arbiter.systemd or any(isinstance(where, int) for where in arbiter.cfg.address)
    return arbiter.reexec_pid == arbiter.master_pid == 0 and not given


def refuse_all(arbiter: Any) -> None:
    """Refuse new callers at each door of a service, as far as the system can."""
    for listener in arbiter.LISTENERS:
        if listener.FAMILY in {socket.AF_INET, socket.AF_INET6}:
            try:
                refuse_new(listener.sock)
            except OSError as error:
                arbiter.log.debug("New callers cannot be refused: %s", error)

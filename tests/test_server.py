"""How gunicorn is set up; that it starts, stops and refuses is shown in cli/test_serve.py, with real processes."""

import gc
import queue
import signal
from types import SimpleNamespace

import pytest
from gunicorn.config import KNOWN_SETTINGS

from registry import server
from registry.config import Settings


def worker(*signals: signal.Signals) -> SimpleNamespace:
    """A worker whose parent's handlers noted these signals before it had handlers of its own."""
    noted: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()
    for number in signals:
        noted.put(number)
    return SimpleNamespace(alive=True, parent=SimpleNamespace(SIG_QUEUE=noted))


@pytest.mark.parametrize(
    ("signals", "alive"),
    [
        ((), True),
        ((signal.SIGCHLD,), True),
        ((signal.SIGTERM,), False),
        ((signal.SIGCHLD, signal.SIGQUIT, signal.SIGCHLD), False),
    ],
)
def test_a_worker_heeds_a_stop_that_came_while_it_started(
    monkeypatch: pytest.MonkeyPatch, signals: tuple[signal.Signals, ...], alive: bool
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: ignored.append((number, handler)))
    beginner = worker(*signals)

    server.heed_the_parent_alone(beginner)

    assert beginner.alive is alive
    assert ignored == [(signal.SIGINT, signal.SIG_IGN), (signal.SIGHUP, signal.SIG_IGN)]


def test_every_option_is_one_that_gunicorn_knows() -> None:

    known = {setting.name for setting in KNOWN_SETTINGS}

    assert set(server.options(Settings())) <= known


def test_the_settings_reach_gunicorn() -> None:
    settings = Settings(
        port=5061,
        workers=3,
        threads=7,
        worker_timeout_seconds=41,
        graceful_timeout_seconds=13,
        max_requests=1234,
        max_requests_jitter=56,
        log_level="warning",
    )

    options = server.options(settings)

    assert {name: options[name] for name in ASKED_OF_GUNICORN} == ASKED_OF_GUNICORN


ASKED_OF_GUNICORN = {
    "bind": ["127.0.0.1:5061"],
    "workers": 3,
    "threads": 7,
    "timeout": 41,
    "graceful_timeout": 13,
    "max_requests": 1234,
    "max_requests_jitter": 56,
    "loglevel": "warning",
}


@pytest.mark.parametrize(
    ("host", "address", "url"),
    [
        ("127.0.0.1", "127.0.0.1:5055", "http://127.0.0.1:5055"),
        ("0.0.0.0", "0.0.0.0:5055", "http://127.0.0.1:5055"),
        ("::1", "[::1]:5055", "http://[::1]:5055"),
        ("::", "[::]:5055", "http://[::1]:5055"),
        ("models.example.com", "models.example.com:5055", "http://models.example.com:5055"),
    ],
)
def test_where_it_listens_and_where_it_is_found(host: str, address: str, url: str) -> None:
    settings = Settings(host=host)

    assert server.address(settings) == address
    assert server.url(settings) == url


def test_what_is_there_before_a_fork_is_left_alone_by_collections_after_it() -> None:
    counting = SimpleNamespace(extensions={"meters": SimpleNamespace(board=SimpleNamespace(parts=3))})
    arbiter = SimpleNamespace(WORKERS={}, app=SimpleNamespace(wsgi=lambda: counting))
    before_fork = server.options(Settings())["pre_fork"]
    try:
        before_fork(arbiter, beginner := worker())

        assert gc.get_freeze_count() > 0
        assert beginner.part == 0
    finally:
        gc.unfreeze()

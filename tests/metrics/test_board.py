"""The shared numbers: added up over workers that live and die."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from types import FrameType
from typing import Any

import pytest

from registry.metrics import board as board_module
from registry.metrics.board import Board

FORK = get_context("fork")
KEY = ("requests", "rest", "GET")


def in_child(job: Callable[[], object]) -> int:
    """Fork, run the job there, and return how the child ended."""
    child = FORK.Process(target=job)
    child.start()
    child.join(60)
    assert child.exitcode is not None
    return child.exitcode


def test_what_forked_workers_count_is_added_up() -> None:
    board = Board(4)

    def work(part: int) -> None:
        board.begin(part)
        for _ in range(1_000):
            board.add(KEY, 2, {0: 1.0, 1: part})

    for part in (1, 2, 3):
        assert in_child(partial(work, part)) == 0

    assert board.sums() == {KEY: [3_000.0, 6_000.0]}


def test_threads_of_one_worker_lose_no_count() -> None:
    board = Board(1)

    def work() -> None:
        for _ in range(5_000):
            board.add(KEY, 1, {0: 1.0})

    threads = [threading.Thread(target=work) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert board.sums() == {KEY: [40_000.0]}


def test_a_killed_worker_leaves_its_counts_and_nothing_else() -> None:
    board = Board(2)

    def work() -> None:
        board.begin(1)
        board.add(KEY, 1, {0: 5.0})
        board.start_clock(17.0)
        board.show_connections(lambda: 3)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(work) == -signal.SIGKILL
    assert [(worker.connections, worker.began) for worker in board.living()] == [(0, []), (3, [17.0])]
    board.wipe(1)

    assert board.sums() == {KEY: [5.0]}
    assert [(worker.connections, worker.began) for worker in board.living()] == [(0, [])]


def test_the_next_worker_goes_on_from_what_the_dead_one_counted() -> None:
    board = Board(2)

    def work() -> None:
        board.begin(1)
        board.add(KEY, 1, {0: 1.0})
        board.add((*KEY, str(os.getpid())), 1, {0: 1.0})

    for _ in range(3):
        in_child(work)

    sums = board.sums()
    assert sums[KEY] == [3.0]
    assert len(sums) == 4


@pytest.mark.parametrize("killed_after", range(0, 60, 3))
def test_a_worker_killed_while_it_makes_an_entry_breaks_nothing(killed_after: int) -> None:
    board = Board(2)

    def work() -> None:
        board.begin(1)
        board.add(KEY, 1, {0: 1.0})
        kill_after_lines(killed_after)
        for number in range(20):
            board.add((*KEY, str(number)), 3, {2: 1.0})

    assert in_child(work) == -signal.SIGKILL
    board.begin(1)
    board.add(("after",), 1, {0: 1.0})

    sums = board.sums()
    assert sums[KEY] == [1.0]
    assert sums["after",] == [1.0]
    assert all(numbers in ([0.0, 0.0, 1.0], [0.0, 0.0, 0.0]) for key, numbers in sums.items() if len(key) == 4)


def kill_after_lines(count: int) -> None:
    """Have this process killed before it runs so many lines more of the board."""
    left = [count]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != board_module.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def test_a_full_part_takes_no_more_keys_and_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "PART", board_module.HEAD + 30)
    board = Board(1)

    for number in range(50):
        board.add((str(number),), 1, {0: 1.0})
        board.add(("0",), 1, {0: 1.0})

    sums = board.sums()
    assert 2 < len(sums) < 50
    assert sums["0",] == [51.0]


def test_a_worker_says_of_when_it_knows_the_replica_to_be() -> None:
    board = Board(2)
    known = []
    for fresh in (5.0, None):
        known.append(board.living()[0].replica)
        board.show_replica(fresh)
    known.append(board.living()[0].replica)
    board.begin(0)

    assert [*known, board.living()[0].replica] == [0.0, 5.0, None, 0.0]


def test_more_requests_than_there_are_clocks_go_without() -> None:
    board = Board(1)
    clocks = [board.start_clock(1.0) for _ in range(board_module.CLOCKS_END - board_module.CLOCKS)]

    assert board.start_clock(2.0) is None
    board.stop_clock(clocks[0] or 0)
    assert board.start_clock(3.0) == clocks[0]
    assert sorted(board.living()[0].began)[-2:] == [1.0, 3.0]

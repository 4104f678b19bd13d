"""Questions that all threads share."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from registry.domain import lookup

THREADS = 16


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("hasty_threads")
def test_a_settled_question_can_be_compiled_by_many_threads_at_once() -> None:
    for _ in range(10):  # unsettled, about every second round fails
        question = lookup.settled(lookup.newest_of_each())
        together = threading.Barrier(THREADS)

        def compile_it(_: int, question: ClauseElement = question, together: threading.Barrier = together) -> str:
            together.wait(10)
            return str(question.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]

        with ThreadPoolExecutor(THREADS) as pool:
            assert len(set(pool.map(compile_it, range(THREADS)))) == 1

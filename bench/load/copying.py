"""COPY from rows that are made while they are sent."""

import time
from collections.abc import Callable, Iterable
from typing import Any

CHUNK = 5_000


class Rows:
    """Rows as a file that psycopg2 reads: tabs between values, a newline behind each row. Values need no escapes."""

    def __init__(self, rows: Iterable[tuple[object, ...]]) -> None:
        self._rows = iter(rows)
        self._rest = b""
        self.count = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        while len(self._rest) < size and (more := self._more()):
            self._rest += more
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def _more(self) -> bytes:
        lines = []
        for row in self._rows:
            lines.append("\t".join(map(str, row)))
            if len(lines) == CHUNK:
                break
        self.count += len(lines)
        return "".join(f"{line}\n" for line in lines).encode()


def copy(cursor: Any, table: str, rows: Iterable[tuple[object, ...]], say: Callable[[str], object]) -> None:
    """Copy rows into `table (columns)`."""
    began, file = time.monotonic(), Rows(rows)
    cursor.copy_expert(f"COPY {table} FROM STDIN", file, size=1 << 20)
    say(f"  {table.partition(' ')[0]}: {file.count:,} rows in {time.monotonic() - began:.1f} s")

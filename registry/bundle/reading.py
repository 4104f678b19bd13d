"""Reads a bundle line by line and believes nothing of it: what has passed is whole, in order, and of one piece.

Memory does not grow with the number of rows: kept are the head of each stream of the log and the frontier of the tree.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, NoReturn

from registry.bundle.errors import BundleError, LineError
from registry.bundle.form import FIRST, LAST, NO_BUNDLE, Header, closing, read_line
from registry.bundle.log import Log
from registry.bundle.sections import SECTIONS, STAGE_OF, Rank, Section

LONGEST = 1 << 24
"""Bytes of a line; the longest text that a row can hold has a fortieth of it."""
MAY_BE_LEFT_OUT = ("tokens", "digest")


class Line(NamedTuple):
    """A row in a bundle: `number` is that of the line, `text` the row as JSON."""

    number: int
    section: Section
    rank: Rank
    row: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Whole:
    """What a bundle is that was read to its end: its first line, its digest, and what its log is about.

    `changes` counts the events of changed rows, `erasures` those of erased texts.
    """

    header: Header
    sha256: str
    lines: int
    changes: int
    erasures: int


class Reading:
    """Takes the lines of a bundle one after the other."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._number = 0
        self._header: Header | None = None
        self._counts: Counter[str] = Counter()
        self._stage = 0
        self._rank: Rank | None = None
        self._whole: Whole | None = None
        self._log = Log()

    def take(self, raw: bytes) -> Line | None:
        """Check the next line, its newline included; return the row that it holds, if it holds one.

        :raises BundleError: it is not what has to stand here.
        """
        self._number += 1
        if self._whole is not None:
            self._refuse("there is something behind the last line")
        if self._header is None:
            self._header = Header.read(raw)
            self._log.begin(self._header)
            self._digest.update(raw)
            return None
        name, content = self._read(raw)
        if name == LAST:
            self._finish(self._header, raw)
            return None
        line = self._row(self._header, name, content, raw)
        self._digest.update(raw)
        return line

    def whole(self) -> Whole:
        """What was read.

        :raises BundleError: the end is missing.
        """
        if self._header is None:
            raise BundleError(f"{NO_BUNDLE}: it is empty.")
        if self._whole is None:
            raise BundleError(
                f"the bundle breaks off after line {self._number}: it was not written or sent to its end."
            )
        return self._whole

    def _refuse(self, what: str) -> NoReturn:
        raise LineError(self._number, what)

    def _read(self, raw: bytes) -> tuple[str, Any]:
        if not raw.endswith(b"\n"):
            what = "it is longer than any line of a bundle" if len(raw) > LONGEST else "the bundle breaks off in it"
            raise LineError(self._number, what)
        try:
            return read_line(raw)
        except ValueError:
            raise LineError(self._number, "it is no line of a bundle, or was changed") from None

    def _row(self, header: Header, name: str, content: Any, raw: bytes) -> Line:
        section = SECTIONS.get(name)
        if section is None:
            raise LineError(
                self._number, f"{'a second first line' if name == FIRST else repr(name[:64])} cannot stand here"
            )
        self._check(header, section, content)
        rank = section.rank(content)
        self._place(section, rank)
        self._counts[name] += 1
        try:
            self._log.take(section, content)
        except ValueError as error:
            raise LineError(self._number, str(error)) from None
        text = raw[len(name) + len('{"":') : -len("}\n")].decode()
        return Line(self._number, section, rank, content, text)

    def _check(self, header: Header, section: Section, row: Any) -> None:
        """See that the row has the columns of its table, and values that these can hold."""
        if not isinstance(row, dict) or tuple(row) != section.columns:
            self._refuse(f"it does not have the columns of {section.name}")
        for name, is_right in section.rules.items():
            left_out = not header.tokens and (section.name, name) == MAY_BE_LEFT_OUT
            if not (row[name] is None if left_out else is_right(row[name])):
                self._refuse(f"the {name} of {section.name} is none that this column can hold")
        last = header.sequences.get(section.name)
        if section.counts and (last is None or not 0 < row["id"] <= last):
            self._refuse(f"{section.name} is said to have no id higher than {last}")

    def _place(self, section: Section, rank: Rank) -> None:
        """See that the row stands behind the one before it."""
        stage = STAGE_OF[section.name]
        if stage < self._stage:
            self._refuse(f"rows of {section.name} stand further up")
        if stage == self._stage and self._rank is not None and rank <= self._rank:
            self._refuse("it is there twice" if rank == self._rank else "it stands behind a later one")
        self._stage, self._rank = stage, rank

    def _finish(self, header: Header, raw: bytes) -> None:
        before = self._number - 1
        if raw != closing(before, self._digest.hexdigest()):
            self._refuse("the checksum is not that of the lines before it: the bundle is damaged or was altered")
        for name, count in header.counts.items():
            if self._counts[name] != count:
                self._refuse(f"there are {self._counts[name]} lines of {name}, and the first line says {count}")
        try:
            self._log.finish()
        except ValueError as error:
            raise LineError(self._number, str(error)) from None
        self._whole = Whole(header, self._digest.hexdigest(), before, self._log.changes, self._log.erasures)


def read(file: BinaryIO, expected: Whole) -> Iterator[Line]:
    """Yield once more the rows of a bundle that was verified, from where the file stands to its end.

    :raises BundleError: it is not the same any more; what was yielded until then counts for nothing.
    """
    reading = Reading()
    for raw in lines(file):
        line = reading.take(raw)
        if line is not None:
            yield line
    if reading.whole() != expected:
        raise BundleError("the file was changed while it was read.")


def verified(file: BinaryIO) -> Whole:
    """Read a bundle from where the file stands to its end, and say what it is.

    :raises BundleError: it is not whole.
    """
    reading = Reading()
    for raw in lines(file):
        reading.take(raw)
    return reading.whole()


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines with their newlines; of one that is too long, the beginning."""
    while raw := file.readline(LONGEST + 1):
        yield raw

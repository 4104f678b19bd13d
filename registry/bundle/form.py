"""The first and the last line of a bundle, and how a line is written."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from registry.bundle.errors import BundleError, LineError
from registry.bundle.kinds import is_text, is_time
from registry.bundle.sections import SECTIONS

FORMAT = 1
FIRST, LAST = "bundle", "end"
"""What the first and the last line begin with."""
NO_BUNDLE = "this is no bundle of a registry"
REVISION = re.compile(r"\w{1,64}")


@dataclass(frozen=True, slots=True)
class Header:
    """The first line.

    `schema` is the revision of the database that the bundle was made from, `tokens` whether digests of tokens are in
    it, `counts` the number of lines of each table, `sequences` the highest id that each table ever gave (None: none).
    `origin` and `checkpoint` are those of the latest checkpoint of the log (None: nothing was signed yet).
    """

    format: int
    release: str
    schema: str
    made_at: str
    tokens: bool
    origin: str | None
    checkpoint: str | None
    counts: Mapping[str, int]
    sequences: Mapping[str, int | None]

    def line(self) -> bytes:
        """It as it stands in a bundle."""
        return written(FIRST, asdict(self))

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read the first line.

        :raises BundleError: the file is no bundle, or one of a later format.
        """
        try:
            name, found = read_line(raw)
        except ValueError:
            raise BundleError(f"{NO_BUNDLE}: its first line is none.") from None
        if name != FIRST or not isinstance(found, dict) or not isinstance(found.get("format"), int):
            raise BundleError(f"{NO_BUNDLE}: its first line does not say so.")
        if found["format"] != FORMAT:
            raise BundleError(
                f"the bundle has format {found['format']}, and this release reads format {FORMAT}: import it with the "
                f"release that wrote it, {str(found.get('release'))[:64]}, or a newer one."
            )
        if problem := wrong_in(found):
            raise LineError(1, f"{problem} is not what it has to be")
        return cls(**found)


def wrong_in(found: Mapping[str, Any]) -> str | None:
    """The field of a first line that is not right, if one is."""
    counted = [name for name, section in SECTIONS.items() if section.counts]
    rules = {
        "release": is_text(found.get("release")),
        "schema": isinstance(found.get("schema"), str) and REVISION.fullmatch(found["schema"]) is not None,
        "made_at": is_time(found.get("made_at")),
        "tokens": isinstance(found.get("tokens"), bool),
        "origin": found.get("origin") is None or is_text(found["origin"]),
        "checkpoint": (found.get("checkpoint") is None) == (found.get("origin") is None)
        and (found.get("checkpoint") is None or is_text(found["checkpoint"])),
        "counts": are_numbers(found.get("counts"), list(SECTIONS), empty=False),
        "sequences": are_numbers(found.get("sequences"), counted, empty=True),
    }
    wrong = next((name for name, right in rules.items() if not right), None)
    return wrong or ("another field" if set(found) != {*rules, "format"} else None)


def are_numbers(found: Any, names: list[str], *, empty: bool) -> bool:
    """Whether there is a number for each name, or where that may be, none."""
    if not isinstance(found, dict) or list(found) != names:
        return False
    limit = 1 << 63
    return all(
        (empty and one is None) or (isinstance(one, int) and not isinstance(one, bool) and 0 <= one < limit)
        for one in found.values()
    )


def written(name: str, content: Any) -> bytes:
    """A line: the only way to write it."""
    return canonical({name: content}) + b"\n"


def canonical(document: Any) -> bytes:
    """A document as it is written in a bundle, which is also how PostgreSQL's `row_to_json` writes one."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def read_line(raw: bytes) -> tuple[str, Any]:
    """The name and the content of a line.

    :raises ValueError: it is none, or not written as `written` writes it.
    """
    try:
        document = json.loads(raw)
        if not isinstance(document, dict) or len(document) != 1 or written(*next(iter(document.items()))) != raw:
            raise ValueError("it is not written as lines of a bundle are")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    name, content = next(iter(document.items()))
    return name, content


def closing(lines: int, sha256: str) -> bytes:
    """The last line: how many there are before it, and the digest of all of them."""
    return written(LAST, {"lines": lines, "sha256": sha256})

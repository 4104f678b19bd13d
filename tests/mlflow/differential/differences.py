"""Where we answer otherwise than mlflow on purpose, and why.

Each entry names its cases by patterns (`*` stands for anything) of "scenario: label", and says what either side answers:
as a line (`400 INVALID_PARAMETER_VALUE text`, `200 {...}`), again with `*`, or as the fields that differ while all others
agree. A case that differs and is not listed fails; so does a listed case that does not differ as it is written here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.mlflow.differential.comparing import Told, unlike


@dataclass(frozen=True)
class Difference:
    """One reason to answer otherwise. `fields`: path → (mlflow's value, ours), texts with `*`."""

    because: str
    cases: tuple[str, ...]
    theirs: str = "*"
    ours: str = "*"
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def covers(self, case: str) -> bool:
        """Whether this entry speaks of a case."""
        return any(fits(pattern, case) for pattern in self.cases)

    def holds(self, theirs: Told, ours: Told) -> bool:
        """Whether the answers differ as this entry says."""
        found = unlike(theirs, ours)
        if not self.fields:
            return bool(found) and fits(self.theirs, theirs.line()) and fits(self.ours, ours.line())
        return found.keys() == self.fields.keys() and all(
            fits_value(expected, actual)
            for path, pair in self.fields.items()
            for expected, actual in zip(pair, found[path], strict=True)
        )


def fits(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says; only `*` is special, since brackets are common in answers."""
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None


def fits_value(expected: Any, actual: Any) -> bool:
    """Whether a value is the expected one; of texts, whether they fit."""
    if isinstance(expected, str) and isinstance(actual, str):
        return fits(expected, actual)
    return repr(expected) == repr(actual)


DIFFERENCES: list[Difference] = []

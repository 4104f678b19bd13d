"""What can be wrong with a bundle, or with bringing it in."""


class BundleError(Exception):
    """The file is no bundle that can be brought in: damaged, altered, of another release, or no bundle at all."""

    def __init__(self, what: str) -> None:
        super().__init__(what.encode(errors="backslashreplace").decode())  # it may quote what is no text


class LineError(BundleError):
    """One line of it is not right. `line` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line


class Differs(Exception):
    """The registry is not empty, and not what the bundle has."""


class NotAble(Exception):
    """The database does not let this user do it, or not now."""

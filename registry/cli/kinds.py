"""Kinds of arguments: stages in any letter case, moments, expected holders, names that can be completed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

from registry.client import UNSET, ServiceError, Unset
from registry.vocabulary import Stage

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
COMPLETION_SECONDS = 2.0
COMPLETED = 50


class StageKind(click.ParamType[str]):
    """A stage, in any letter case."""

    name = "stage"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the stage's exact word."""
        found = next((stage.value for stage in Stage if stage.lower() == str(value).lower()), None)
        return found or self.fail(f"'{value}' is no stage. The stages are {', '.join(Stage)}.", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The stages that begin so."""
        return [CompletionItem(stage.value) for stage in Stage if stage.lower().startswith(incomplete.lower())]


class MomentKind(click.ParamType[datetime]):
    """A moment: RFC 3339, a date, either without offset in UTC, or how long ago (90m, 3d)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return an aware time."""
        ago = re.fullmatch(r"([0-9]{1,6})([smhdw])( ago)?", str(value).strip())
        try:
            if ago:
                return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
            moment = datetime.fromisoformat(str(value).strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            how = "Write it as 2026-11-24T14:03:00Z, as 2026-11-24 (UTC), or as 90m, 12h, 3d (ago)."
            self.fail(f"'{value}' is no moment. {how}", param, ctx)


class HolderKind(click.ParamType[int]):
    """A version number, or `none` (as 0)."""

    name = "version|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if str(value).lower() == "none":
            return 0
        return click.IntRange(min=1).convert(value, param, ctx)


class ModelKind(click.ParamType[str]):
    """The name of a model; a shell can ask the registry to complete it."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The models whose names begin so; none where the registry does not answer quickly."""
        from registry.cli.connection import connect  # noqa: PLC0415 (only a shell that completes needs it)

        asked = f"name LIKE '{incomplete}%'" if re.fullmatch(r"[\w .-]+", incomplete) else None
        try:
            with connect(ctx.params.get("url"), retries=0, timeout=COMPLETION_SECONDS) as client:
                found = [model.name for _, model in zip(range(COMPLETED), client.models(filter=asked), strict=False)]
        except (ServiceError, click.ClickException):
            return []
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]


class TagKind(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`; the first `=` ends the key."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return key and value."""
        if isinstance(value, tuple):
            return value
        key, sign, rest = str(value).partition("=")
        if not sign or not key:
            self.fail(f"'{value}' is no tag: write KEY=VALUE.", param, ctx)
        return key, rest


STAGE, MOMENT, HOLDER, MODEL, TAG = StageKind(), MomentKind(), HolderKind(), ModelKind(), TagKind()
NUMBER = click.IntRange(min=1)


def expectation(holder: int | None) -> int | Unset | None:
    """What --expected-current says: nothing (not given), no version (0), or a version."""
    return UNSET if holder is None else holder or None

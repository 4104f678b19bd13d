"""Calls about stages: moving versions, taking a move back, and asking who stands or stood where."""

from datetime import datetime

from registry.client.answers import Resolved, Tenure, Transition, Version
from registry.client.base import UNSET, Calls, Unset, body, query, under
from registry.client.pages import Pages
from registry.client.reading import read
from registry.client.transport import Call
from registry.client.watch import Watch


class StageCalls(Calls):
    """Stages, transitions, and what URIs lead to."""

    def transition(
        self,
        name: str,
        version: int,
        to: str,
        *,
        archive_existing: bool = False,
        expected_current: int | Unset | None = UNSET,
        reason: str | None = None,
        dry_run: bool = False,
    ) -> Version:
        """Move a version to a stage, and with `archive_existing` those that stand there to Archived.

        With `expected_current`, only if that version (None: no version) stands there now. With `dry_run` everything is
        checked and answered as if done, and nothing is changed.

        :raises Conflict: others than the expected version stand there; `holders` says who.
        """
        asked = body(
            to=to,
            archive_existing=archive_existing,
            reason=reason,
            expected_current=expected_current,
            dry_run=dry_run or UNSET,
        )
        return self._one(Version, Call("POST", under("models", name, "versions", version, "transitions"), body=asked))

    def rollback(
        self,
        name: str,
        stage: str = "Production",
        *,
        expected_current: int | Unset | None = UNSET,
        reason: str | None = None,
        dry_run: bool = False,
    ) -> Version:
        """Give a stage back to the version that held it before, and archive those that hold it. Returns the holder.

        :raises Conflict: nobody held it before, or others than the expected version stand there.
        """
        asked = body(reason=reason, expected_current=expected_current, dry_run=dry_run or UNSET)
        return self._one(Version, Call("POST", under("models", name, "stages", stage, "rollback"), body=asked))

    def transitions(self, name: str, version: int, *, page_size: int = 100) -> Pages[Transition]:
        """The moves of a version, the newest first."""
        path = under("models", name, "versions", version, "transitions")
        return self._pages(Transition, path, query(limit=page_size))

    def holders(self, name: str, stage: str, at: datetime | None = None) -> list[Tenure]:
        """Who stands in a stage now, or stood there at a moment; the highest number first."""
        call = Call("GET", under("models", name, "stages", stage), query(at=at))
        return [read(Tenure, item) for item in self._object(call)["items"]]

    def history(self, name: str, stage: str, *, page_size: int = 100) -> Pages[Tenure]:
        """Who stood in a stage from when until when, by whom and why; the latest first."""
        return self._pages(Tenure, under("models", name, "stages", stage, "history"), query(limit=page_size))

    def resolve(self, uri: str, at: datetime | None = None) -> Resolved:
        """The version that a `models:/` URI names, now or as of a moment.

        :raises NotFound: it leads nowhere.
        """
        return self._one(Resolved, Call("GET", "/resolve", query(uri=uri, at=at)))

    def watch(self, uri: str, every: float = 30.0) -> Watch:
        """Follow what a URI leads to; iterating yields each new answer, asking `every` so many seconds."""
        return Watch(self._transport, uri, every)

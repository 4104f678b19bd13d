"""Calls about the audit log."""

from collections.abc import Iterator
from datetime import datetime

from registry.client.answers import Event
from registry.client.base import Calls, query
from registry.client.pages import Pages, Query, query_in
from registry.client.reading import checked, read
from registry.client.transport import Call


class LogCalls(Calls):
    """The audit log."""

    def events(
        self,
        model: str | None = None,
        version: int | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        request_id: str | None = None,
        order: str = "newest",
        page_size: int = 100,
    ) -> Pages[Event]:
        """Audit events: who changed what, when and why.

        `since` is inclusive, `until` exclusive; `actor` is a name or an id; `subject` as events have it,
        such as `model:42/version:3`; `order` is newest or oldest (first).
        """
        asked = asked_of(model, version, actor, action, subject, since, until, request_id, order)
        return self._pages(Event, "/audit", [*asked, ("limit", str(page_size))])

    def follow(
        self,
        after: int,
        model: str | None = None,
        version: int | None = None,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        request_id: str | None = None,
        wait: int = 0,
        limit: int = 1000,
    ) -> tuple[list[Event], int]:
        """Sealed events that stand behind a position (-1: before the first), and the position to go on behind.

        Where there are none, the service waits for some for up to `wait` seconds, if it has room for one who waits.

        :raises Conflict: the log does not reach to this position: it was restored from a backup.
        """
        asked = asked_of(model, version, actor, action, subject, since, None, request_id, None)
        asked = [*asked, *query(after=after, wait=wait or None, limit=limit)]
        page = self._object(Call("GET", "/audit", asked))
        behind = dict(query_in(page.get("next")) or ()).get("after", after)
        return [read(Event, item) for item in checked(list, page.get("items"))], int(behind)

    def checkpoint(self) -> str:
        """The latest signed note of the log: kept elsewhere, it proves later that nothing of it was changed.

        :raises NotFound: nothing was signed yet.
        """
        return self._transport.send(Call("GET", "/audit/checkpoint")).data.decode()

    def export(
        self,
        model: str | None = None,
        version: int | None = None,
        *,
        format: str = "jsonl",  # noqa: A002 (the service's word)
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        request_id: str | None = None,
        order: str = "oldest",
    ) -> Iterator[bytes]:
        """All audit events, however many, as a stream of lines with their line ends: `jsonl` gives the stored lines
        byte for byte, `csv` columns.

        :raises Unreachable: also where the stream broke off; what came before is not the whole.
        """
        asked = asked_of(model, version, actor, action, subject, since, until, request_id, order)
        return self._transport.lines(Call("GET", "/audit", [*asked, ("format", format)], stream=True))


def asked_of(
    model: str | None,
    version: int | None,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: datetime | None,
    until: datetime | None,
    request_id: str | None,
    order: str | None,
) -> Query:
    """The question that pages and exports share."""
    return query(
        model=model,
        version=version,
        actor=actor,
        action=action,
        subject=subject,
        since=since,
        until=until,
        request_id=request_id,
        order=order,
    )

"""Following a URI: for processes that serve a model and want to know when another version takes its place."""

import time
from collections.abc import Iterator

from registry.client.answers import Resolved
from registry.client.errors import Unavailable, Unreachable
from registry.client.reading import read
from registry.client.transport import Call, Transport


class Watch:
    """What a `models:/` URI leads to, kept up to date.

    Asks with the ETag of the last answer, so that where nothing has changed the service does next to nothing.
    """

    def __init__(self, transport: Transport, uri: str, every: float) -> None:
        self.current: Resolved | None = None
        self._transport, self._uri, self._every = transport, uri, every

    def poll(self) -> Resolved | None:
        """Ask once: the answer if it is another than the last one, else None.

        :raises NotFound: the URI leads nowhere.
        """
        etag = self.current.etag if self.current else None
        headers = {"If-None-Match": etag} if etag else {}
        document, answered = self._transport.json(Call("GET", "/resolve", [("uri", self._uri)], headers=headers))
        if document is None:  # 304: as it was
            return None
        found = read(Resolved, document, answered.get("ETag"))
        if found == self.current:
            return None
        self.current = found
        return found

    def __iter__(self) -> Iterator[Resolved]:
        """Yield the first answer and then each that differs from the one before.

        While the service cannot be asked, the last answer stands: who serves a model goes on serving it.

        :raises NotFound: the URI leads nowhere.
        """
        while True:
            try:
                changed = self.poll()
            except (Unavailable, Unreachable):
                if self.current is None:
                    raise
                changed = None
            if changed is not None:
                yield changed
            time.sleep(self._every)

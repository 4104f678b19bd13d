"""What a client says to PostgreSQL, cut into messages, however the bytes come.

Source: PostgreSQL manual, chapter "Frontend/Backend Protocol".
"""

from collections.abc import Iterator

LENGTH_BYTES = 4
REQUESTS_WITHOUT_TYPE = {80877103, 80877104, 80877102}
"""Requests for TLS, for GSSAPI, and to cancel: they come before, or instead of, the message that starts a session."""
QUERY = b"Q"


class Frontend:
    """The client's side of one connection. Its first messages have no type; all others begin with a byte for it."""

    def __init__(self) -> None:
        self._held = b""
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete now, each with its type and length, as they came."""
        self._held += data
        while (size := self._size()) is not None and len(self._held) >= size:
            message, self._held = self._held[:size], self._held[size:]
            if not self._started:
                self._started = int.from_bytes(message[4:8]) not in REQUESTS_WITHOUT_TYPE
            yield message

    def _size(self) -> int | None:
        """How long the message is that the held bytes begin; None while they do not say."""
        before = 1 if self._started else 0
        if len(self._held) < before + LENGTH_BYTES:
            return None
        return before + int.from_bytes(self._held[before : before + LENGTH_BYTES])


def is_commit(message: bytes) -> bool:
    """Whether this ends a transaction for good, be it behind other statements."""
    _, _, last = message[5:].rstrip(b"\0; ").rpartition(b"; ")
    return message[:1] == QUERY and last.upper() == b"COMMIT"

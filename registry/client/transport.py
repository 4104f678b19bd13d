"""Calls over HTTP: one request, its retries, and the answer as JSON or as an exception.

No redirect is followed, so that a token never goes to another address than the one it was given for.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from registry import __version__
from registry.client import address
from registry.client.errors import ServiceError, UnexpectedAnswer, Unreachable
from registry.client.pages import Query
from registry.client.patience import Patience, asked_pause
from registry.client.refusals import PROBLEM, error_for

PREFIX = "/api/v1"
CONNECT_SECONDS = 5.0
NOT_MODIFIED = 304
REDIRECTS = range(300, 400)
DONE = range(200, 300)

NOTHING_DONE = frozenset({429, 503})
"""Answers that promise that nothing was changed, unless they say that this is uncertain."""
PERHAPS_DONE = frozenset({502, 504})
"""Answers of something in between, which may have lost the answer of a change that was made."""
UNSENT = (NewConnectionError, ConnectTimeoutError, NameResolutionError)
"""Failures before the request was on its way."""


@dataclass(frozen=True)
class Call:
    """One call. `repeatable`: doing it twice is as good as once, so it may be sent again when its answer was lost.

    GET is, and so is POST, for its Idempotency-Key. What PUT, PATCH and DELETE ask for is known to the method that
    asks: setting a value is repeatable; renaming and deleting are not, because the second time they would meet a thing
    that is gone, or a new one under the same name.
    """

    method: str
    path: str
    query: Query = ()
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    stream: bool = False


class Lost(Unreachable):
    """A failed attempt. `sent`: the request may have arrived; `lasting`: another attempt would fail like this one."""

    def __init__(self, detail: str, *, sent: bool, lasting: bool = False) -> None:
        super().__init__(detail)
        self.sent = sent
        self.lasting = lasting


class Transport:
    """Sends calls to one service, over connections that are kept; threads may share it."""

    def __init__(self, url: str, token: str | None, *, timeout: float, retries: int, patience: float) -> None:
        self.url, inside = address.split(url)
        token = address.check_token(token or inside)
        self._headers = {"User-Agent": f"model-registry/{__version__}", "Accept": "application/json, */*;q=0.5"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._retries, self._patience = retries, patience
        self._last = threading.local()
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(timeout, CONNECT_SECONDS), read=timeout), retries=False
        )

    @property
    def receipts(self) -> tuple[str, ...]:
        """The receipts of the last change that this thread has made."""
        found: tuple[str, ...] = getattr(self._last, "receipts", ())
        return found

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def json(self, call: Call) -> tuple[Any, Mapping[str, str]]:
        """The answer's JSON (None: it has none) and its headers.

        :raises ServiceError: the service refused, failed, or did not answer; which class says how.
        """
        answer = self.send(call)
        if not answer.data:
            return None, answer.headers
        document = parsed(answer)
        if document is None:
            raise UnexpectedAnswer(f"{self.url} does not answer in JSON: is it a registry?", status=answer.status)
        return document, answer.headers

    def lines(self, call: Call) -> Iterator[bytes]:
        """The lines of a long answer as they come, each with its line end.

        :raises ServiceError: as `json`; Unreachable also where the answer broke off.
        """
        answer = self.send(call)
        try:
            yield from answer
        except HTTPError as error:
            raise Unreachable(f"The answer of {self.url} broke off before its end: {cause(error)}.") from error
        finally:
            answer.close()

    def send(self, call: Call) -> urllib3.BaseHTTPResponse:
        """Make a call, again where that is safe and may help."""
        patience = Patience(self._retries, self._patience)
        headers = {**self._headers, **call.headers}
        if call.method == "POST":
            headers["Idempotency-Key"] = str(uuid.uuid4())  # one for all attempts of this call
        newest: str = getattr(self._last, "newest", "")
        if call.method == "GET" and newest:
            headers["Audit-Receipt"] = newest  # what a replica answers shall be no older than that
        while True:
            try:
                answer = self._attempt(call, headers)
            except Lost as lost:
                if lost.lasting or (lost.sent and not call.repeatable) or not patience.wait():
                    raise
                continue
            if not self._again(call, answer, patience):
                return self._noted(call, self._accepted(answer))

    def _noted(self, call: Call, answer: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        if call.method != "GET":
            given = answer.headers.get("Audit-Receipt", "")
            self._last.receipts = tuple(filter(None, given.split(", ")))
            self._last.newest = given or getattr(self._last, "newest", "")
        return answer

    def _attempt(self, call: Call, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                call.method,
                self.url + PREFIX + call.path + encoded(call.query),
                json=call.body,
                headers=headers,
                redirect=False,
                preload_content=not call.stream,
            )
        except HTTPError as error:
            raise self._lost(error) from error

    def _lost(self, error: HTTPError) -> Lost:
        what = f"{self.url} does not answer: {cause(error)}."
        return Lost(what, sent=not isinstance(error, UNSENT), lasting=isinstance(error, SSLError))

    def _again(self, call: Call, answer: urllib3.BaseHTTPResponse, patience: Patience) -> bool:
        """Whether to make the call again; the pause before it has been taken then."""
        nothing_done = answer.status in NOTHING_DONE and not is_problem(answer, "uncertain")
        if nothing_done or (answer.status in NOTHING_DONE | PERHAPS_DONE and call.repeatable):
            answer.drain_conn()
            return patience.wait(asked_pause(answer.headers))
        if answer.status == 409 and is_problem(answer, "in-flight"):  # noqa: PLR2004
            return patience.linger(asked_pause(answer.headers))
        return False

    def _accepted(self, answer: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        if answer.status in DONE or answer.status == NOT_MODIFIED:
            return answer
        if answer.status in REDIRECTS:
            to = answer.headers.get("Location", "elsewhere")
            raise UnexpectedAnswer(
                f"{self.url} sends us on to {to}: if that is right, use it as the address.", status=answer.status
            )
        raise self._refusal(answer)

    def _refusal(self, answer: urllib3.BaseHTTPResponse) -> ServiceError:
        return error_for(answer.status, parsed(answer), self.url)


def is_problem(answer: urllib3.BaseHTTPResponse, name: str) -> bool:
    """Whether an answer is this problem of the registry."""
    document = parsed(answer)
    return isinstance(document, dict) and document.get("type") == PROBLEM + name


def parsed(answer: urllib3.BaseHTTPResponse) -> Any:
    """The JSON of an answer, None if it is none."""
    try:
        return json.loads(answer.data)
    except (ValueError, HTTPError):  # no JSON, or not all of it
        return None


def encoded(query: Query) -> str:
    """A query as the end of an address."""
    return "?" + urlencode(query) if query else ""


def cause(error: BaseException) -> str:
    """What lies behind a failure of the network, in few words and without objects' addresses."""
    if isinstance(error, NameResolutionError):
        return "its name is not known"
    if isinstance(error, ReadTimeoutError) or type(error) is ConnectTimeoutError:
        return "it took too long"
    inner = next((one for one in (error.__cause__, *reversed(error.args)) if isinstance(one, BaseException)), None)
    if isinstance(inner, OSError) and inner.strerror:
        return re.sub(r"^\[.*?\] | \(_ssl\.c:\d+\)$", "", inner.strerror).lower()
    return cause(inner) if inner is not None else str(error)

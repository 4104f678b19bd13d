"""The service's logs as JSON lines: one line per request on standard output, everything else on standard error.

A line never holds a token: of a request only its path and its user agent are written, not its query, its other headers
or its body, and of a malformed one nothing but where it came from; what looks like a token is left out wherever it
stands. JSON with escapes keeps control characters and line breaks of callers out.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gunicorn.glogging import Logger

TOKEN = re.compile(r"(mreg_)[0-9a-f]{8,}|(eyJ)[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?")
"""Of this registry, and JWTs."""
BEGINS = ("mreg_", "eyJ")
ROOM_FOR_NAME = 1500
ROOM_FOR_USER_AGENT = 500
HALF_A_TRACE = 8_000
"""Bytes, escapes included. A line stays below 4096, up to which those of several workers do not mix in a pipe."""
LONGEST_ESCAPE = 12
"""Bytes that JSON needs for one character at most."""
TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
"""Version, trace, parent span, flags; from version 01 on more may follow. Source: W3C Trace Context, section 3.2."""


class JsonLogger(Logger):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn's logger, in JSON; it also takes in what the application logs."""

    def setup(self, cfg: Any) -> None:
        """Set handlers up; gunicorn calls this at the start and at a reload."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())
        application = logging.StreamHandler(sys.stderr)
        application.setFormatter(JsonFormatter())
        logging.root.handlers[:] = [application]
        logging.root.setLevel(self.loglevel)
        logging.getLogger("alembic").setLevel(max(self.loglevel, logging.WARNING))  # chats whenever we look
        logging.captureWarnings(capture=True)

    def access(self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta) -> None:
        """Write the line of one request."""
        del req
        if self.access_log_enabled:
            line = access_line(environ, resp.status, getattr(resp, "sent", None), request_time)
            # Without looking up the stack for who writes it: nobody wants to know.
            record = logging.LogRecord(self.access_log.name, logging.INFO, "", 0, line, None, None)
            self.access_log.handle(record)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write a warning; one about a malformed request without what it says, which may be a header with a token."""
        if msg.startswith("Invalid request from"):
            msg, args = msg.partition(": ")[0], ()
        super().warning(msg, *args, **kwargs)

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write a remark; one about a request that broke off without what had come of it by then."""
        if msg.startswith("Ignored premature client disconnection"):
            msg, args = msg.partition(". ")[0], ()
        super().debug(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write a fault with its trace; one in a request without its address, which may have a token in its query."""
        if str(msg).startswith("Error handling request"):
            msg, args = "Error handling request", ()
        super().exception(msg, *args, **kwargs)


class JsonFormatter(logging.Formatter):
    """One JSON line per record, a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = shortened(self.formatException(record.exc_info))
        return without_tokens(json.dumps(line))


def access_line(environ: Mapping[str, Any], status: Any, sent: int | None, took: timedelta) -> str:
    """Return the line of one request; what the application knows about it stands in the environment."""
    code = int(str(status).split(None, 1)[0])
    trace_id, span_id = trace_of(environ)
    line = json.dumps(
        {
            "time": rfc3339(datetime.now(UTC)),
            "request_id": environ.get("registry.request_id"),
            "trace_id": trace_id,
            "span_id": span_id,
            "actor": environ.get("registry.actor"),
            "credential": environ.get("registry.credential") or None,
            "method": environ.get("REQUEST_METHOD"),
            "path": cut(as_text(environ.get("PATH_INFO", "")), ROOM_FOR_NAME),
            "model": cut(environ.get("registry.model"), ROOM_FOR_NAME),
            "status": code,
            "outcome": environ.get("registry.outcome") or outcome(code),
            "milliseconds": round(took.total_seconds() * 1000, 3),
            "remote": environ.get("registry.remote") or environ.get("REMOTE_ADDR"),
            "user_agent": cut(as_text(environ.get("HTTP_USER_AGENT", "")), ROOM_FOR_USER_AGENT) or None,
            "bytes": sent,
        }
    )
    return without_tokens(line)


def without_tokens(line: str) -> str:
    """Leave out of a line what looks like a token: somebody may have put it into a path, say."""
    if not any(begin in line for begin in BEGINS):  # a tenth of the time that the expression takes
        return line
    return TOKEN.sub(lambda found: f"{found[1] or found[2]}(left out)", line)


def trace_of(environ: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the trace that a request belongs to and the caller's span in it, if `traceparent` says so rightly."""
    found = TRACEPARENT.fullmatch(environ.get("HTTP_TRACEPARENT", ""))
    if found is None or (found[1] == "00" and found[4]):
        return None, None
    return found[2], found[3]


def outcome(code: int) -> str:
    """Say in a word how a request ended, for those that the application says nothing about."""
    if code >= 500:  # noqa: PLR2004
        return "failed"
    return "refused" if code >= 400 else "ok"  # noqa: PLR2004


def shortened(trace: str) -> str:
    """Leave the middle out of a trace that is too long: a fault of the database has the whole statement in it."""
    if len(trace) <= 2 * HALF_A_TRACE:
        return trace
    left_out = len(trace) - 2 * HALF_A_TRACE
    return f"{trace[:HALF_A_TRACE]}\n... {left_out} characters left out ...\n{trace[-HALF_A_TRACE:]}"


def cut(text: str | None, room: int) -> str | None:
    """Shorten a text until it fits into so many bytes of JSON."""
    if text is None or len(text) * LONGEST_ESCAPE <= room:
        return text
    text = text[:room]
    while (needed := len(json.dumps(text))) > room:
        text = text[: len(text) * room // (needed + 1)]
    return text


def as_text(value: str) -> str:
    """Return a WSGI string, bytes dressed as Latin-1, as the text that the caller wrote."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def rfc3339(moment: datetime) -> str:
    """Return a time in UTC with milliseconds and a Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says where to; otherwise nothing of it is even imported.

A request to a face is a span that continues the caller's trace, each SQL statement one below it. Spans have route
templates, statuses and statements with their parameters left out: no value, no name of a model, no address. Variables
named OTEL_… are OpenTelemetry's own and mean what its specification says.
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from psycopg2 import Error as DriverError
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

import registry
from registry.config import ConfigError
from registry.db import db
from registry.faces.measuring import METHODS, UNMATCHED, face_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
UNTRACED = "operations"
STATEMENT_MAX = 2_000
FAULT = 500
SECONDS_TO_FINISH = 2


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether traces are to be sent.

    :raises ConfigError: they are, in a way that is not possible here.
    """
    if not any(environ.get(name) for name in ENDPOINTS) or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    for name in PROTOCOLS:
        if environ.get(name, HTTP) != HTTP:
            raise ConfigError(f"{name}={environ[name]} is not supported: traces are sent over {HTTP} (port 4318).")
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: PLC0415 (an optional dependency)
        import opentelemetry.sdk  # noqa: F401, PLC0415
    except ImportError:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "pip install 'model-registry[otel]', or remove the variable."
        ) from None
    return True


def install(app: Flask, environ: Mapping[str, str]) -> bool:
    """Trace the requests of an application, if the environment says so; return whether it does."""
    if not wanted(environ):
        return False
    tracing = Tracing(environ.get("OTEL_SERVICE_NAME") or "model-registry")
    app.before_request(tracing.begin)
    app.after_request(tracing.answered)
    app.teardown_request(tracing.end)
    with app.app_context():
        tracing.watch(db.engine)
    return True


class Tracing:
    """What makes spans, and sends them from a thread of its own; that begins in each worker, once it was forked."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._process = 0

    @property
    def tracer(self) -> "Tracer":
        """The tracer of this process."""
        if self._process != os.getpid():
            self._tracer = provider(self._service).get_tracer("registry")
            self._process = os.getpid()  # last: another thread may look meanwhile
        return self._tracer

    def begin(self) -> None:
        """Begin the span of a request, below the caller's if it says so."""
        from opentelemetry import context, trace  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        face = face_of(request.path)
        if face == UNTRACED:
            return
        route = request.url_rule.rule if request.url_rule else UNMATCHED
        method = request.method if request.method in METHODS else "_OTHER"
        headers = {name.lower(): value for name, value in request.headers.items()}
        caller = TraceContextTextMapPropagator().extract(headers)
        span = self.tracer.start_span(
            f"{method} {route}",
            context=caller,
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route, "registry.face": face},
        )
        g.span, g.entered = span, context.attach(trace.set_span_in_context(span, caller))
        request.environ["HTTP_TRACEPARENT"] = traceparent(span)  # the access log names it

    def answered(self, response: Response) -> Response:
        """Say how the request ended."""
        span = g.get("span")
        if span is not None:
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("registry.request_id", g.request_id)
            if response.status_code >= FAULT:
                span.set_status(failed())
        return response

    def end(self, _: BaseException | None) -> None:
        """End the span."""
        from opentelemetry import context  # noqa: PLC0415

        span = g.pop("span", None)
        if span is not None:
            context.detach(g.pop("entered"))
            span.end()

    def watch(self, engine: Engine) -> None:
        """Make a span of each statement, where there is one of a request to be below."""
        event.listen(engine, "before_cursor_execute", self._statement_begins)
        event.listen(engine, "after_cursor_execute", self._statement_ends)
        event.listen(engine, "handle_error", self._statement_fails)
        event.listen(engine, "connect", self._look_at)

    def _look_at(self, driver: Any, _: Any) -> None:
        """Statements that do not come by SQLAlchemy, see registry/settled.py, are known by their connection."""
        driver.observed = self._settled

    @contextmanager
    def _settled(self, statement: str) -> Iterator[None]:
        span = self._span(statement)
        try:
            yield
        except DriverError as error:
            if span is not None:
                self._say_failed(span, error)
            raise
        finally:
            if span is not None:
                span.end()

    def _statement_begins(
        self, _conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _: Any
    ) -> None:
        if context is not None:
            context.traced = self._span(statement)

    def _span(self, statement: str) -> "Span | None":
        """A span for a statement, where there is one of a request to be below."""
        from opentelemetry import trace  # noqa: PLC0415

        if not trace.get_current_span().get_span_context().is_valid:
            return None
        verb = statement.lstrip().partition(" ")[0].upper()
        attributes = {
            "db.system.name": "postgresql",
            "db.operation.name": verb,
            "db.query.text": statement[:STATEMENT_MAX],
        }
        return self.tracer.start_span(verb, kind=trace.SpanKind.CLIENT, attributes=attributes)

    def _statement_ends(self, _conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _: Any) -> None:
        span = getattr(context, "traced", None)
        if span is not None:
            span.end()

    def _statement_fails(self, context: ExceptionContext) -> None:
        span = getattr(context.execution_context, "traced", None)
        if span is not None:
            self._say_failed(span, context.original_exception)
            span.end()

    def _say_failed(self, span: "Span", error: BaseException) -> None:
        span.set_attribute("db.response.status_code", getattr(error, "pgcode", None) or "")
        span.set_status(failed())


def provider(service: str) -> "TracerProvider":
    """What sends spans in batches from a thread, and the rest when the process ends."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    about = Resource.create({"service.name": service, "service.version": registry.__version__})
    made = TracerProvider(resource=about, shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    finish_at_exit(made.shutdown)
    return made


def finish_at_exit(finish: Callable[[], None]) -> None:
    """Do this when the process ends, for a short time: a collector that is away must not hold a stop up.

    The thread for it is there before, because none can be made any more at the end.
    """
    told, done = threading.Event(), threading.Event()

    def wait() -> None:
        told.wait()
        finish()
        done.set()

    def end() -> None:
        told.set()
        done.wait(SECONDS_TO_FINISH)

    threading.Thread(target=wait, daemon=True, name="last-traces").start()
    atexit.register(end)


def failed() -> Any:
    """The status of a span that went wrong."""
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    return Status(StatusCode.ERROR)


def traceparent(span: "Span") -> str:
    """A span as the header of W3C Trace Context names it."""
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

"""What the log lines look like; that the running service writes them, and no token, is shown in cli/test_serve.py."""

import json
import logging
import sys
from datetime import timedelta
from typing import Any

import pytest

from registry.access_log import JsonFormatter, JsonLogger, access_line

REQUEST = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/api/v1/whoami",
    "QUERY_STRING": "token=hush",
    "HTTP_AUTHORIZATION": "Bearer hush",
    "HTTP_COOKIE": "hush",
    "HTTP_USER_AGENT": "curl/8",
    "REMOTE_ADDR": "127.0.0.1",
    "registry.request_id": "r-1",
    "registry.actor": "principal:1",
    "registry.credential": "token:1",
    "registry.model": "Churn",
}


def line(status: Any = "200 OK", **environ: str) -> dict[str, Any]:
    written = access_line(REQUEST | environ, status, 17, timedelta(milliseconds=1.5))
    assert "\n" not in written
    found: dict[str, Any] = json.loads(written)
    return found


def test_a_line_holds_these_fields_and_no_others() -> None:
    found = line()

    assert found.pop("time").endswith("Z")
    assert found == {
        "request_id": "r-1",
        "trace_id": None,
        "span_id": None,
        "actor": "principal:1",
        "credential": "token:1",
        "method": "GET",
        "path": "/api/v1/whoami",
        "model": "Churn",
        "status": 200,
        "outcome": "ok",
        "milliseconds": 1.5,
        "remote": "127.0.0.1",
        "user_agent": "curl/8",
        "bytes": 17,
    }


@pytest.mark.parametrize(
    ("status", "outcome"), [("200 OK", "ok"), (304, "ok"), ("404 NOT FOUND", "refused"), ("503 X", "failed")]
)
def test_an_outcome_that_the_application_does_not_name_follows_from_the_status(status: Any, outcome: str) -> None:
    assert line(status)["outcome"] == outcome


def test_the_application_knows_better_how_it_went() -> None:
    assert (
        line("404 NOT FOUND", **{"registry.outcome": "RESOURCE_DOES_NOT_EXIST"})["outcome"] == "RESOURCE_DOES_NOT_EXIST"
    )


def test_a_request_that_the_application_never_saw_has_a_line_too() -> None:
    found = json.loads(access_line({"REQUEST_METHOD": "GET"}, 400, None, timedelta()))

    assert (found["status"], found["actor"], found["path"], found["user_agent"]) == (400, None, "", None)


def test_paths_are_the_text_that_was_meant() -> None:
    assert line(PATH_INFO="/Größe".encode().decode("latin-1"))["path"] == "/Größe"
    assert line(PATH_INFO="/\xff")["path"] == "/\ufffd"


@pytest.mark.parametrize("character", ["x", "\x01", "é", "\U0001f600"])
def test_a_line_stays_whole_in_a_pipe_however_long_its_texts_are(character: str) -> None:
    long = character * 5_000
    wire = long.encode().decode("latin-1")
    texts = {"PATH_INFO": wire, "HTTP_USER_AGENT": wire, "registry.model": long}

    written = access_line(REQUEST | texts, 200, 1, timedelta())

    assert len(written) < 4096
    for cut in (json.loads(written)[field] for field in ("path", "model", "user_agent")):
        assert len(cut) >= 40
        assert long.startswith(cut)


def test_texts_of_usual_length_are_not_cut() -> None:
    name = "x" * 250

    assert line(**{"registry.model": name})["model"] == name


def record(message: str, *arguments: object, error: bool = False) -> dict[str, Any]:
    exc_info = sys.exc_info() if error else None
    made = logging.LogRecord("registry", logging.ERROR, __file__, 1, message, arguments, exc_info)
    found: dict[str, Any] = json.loads(JsonFormatter().format(made))
    return found


def test_other_records_are_json_too() -> None:
    found = record("it was %s\nthen", "dark")

    assert (found["level"], found["logger"], found["message"]) == ("error", "registry", "it was dark\nthen")
    assert "trace" not in found


def test_a_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("why")  # noqa: TRY301
    except ValueError:
        found = record("failed", error=True)

    assert found["trace"].startswith("Traceback")
    assert found["trace"].endswith("ValueError: why")


def test_of_a_long_trace_the_middle_is_left_out() -> None:
    try:
        raise ValueError("SELECT " + "x" * 1_000_000 + " why")  # noqa: TRY301
    except ValueError:
        found = record("failed", error=True)

    assert len(found["trace"]) < 20_000
    assert found["trace"].startswith("Traceback")
    assert found["trace"].endswith("x why")
    assert "characters left out" in found["trace"]


def test_what_gunicorn_says_of_a_malformed_request_is_cut_before_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    logger = JsonLogger.__new__(JsonLogger)
    monkeypatch.setattr("gunicorn.glogging.Logger.warning", lambda _, message, *rest: said.append(message % rest))

    logger.warning("Invalid request from ip=1.2.3.4: Invalid HTTP Header: 'Authorization Bearer hush'")
    logger.warning("Worker %s is late: kept", 7)

    assert said == ["Invalid request from ip=1.2.3.4", "Worker 7 is late: kept"]


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "given", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"]
)
def test_a_traceparent_is_passed_on(given: str) -> None:
    found = line(HTTP_TRACEPARENT=given)
    assert (found["trace_id"], found["span_id"]) == (TRACE, SPAN)


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
        "x" * 5000,
    ],
)
def test_what_is_no_traceparent_is_ignored(given: str) -> None:
    found = line(HTTP_TRACEPARENT=given)
    assert (found["trace_id"], found["span_id"]) == (None, None)


SECRET = "mreg_" + "0123456789abcdef" * 2 + "01234567"


def test_what_looks_like_a_token_is_left_out_wherever_it_stands() -> None:
    found = line(PATH_INFO=f"/api/v1/models/{SECRET}", HTTP_USER_AGENT=f"curl {SECRET}")

    assert found["path"] == "/api/v1/models/mreg_(left out)"
    assert found["user_agent"] == "curl mreg_(left out)"
    record = logging.LogRecord("registry", logging.ERROR, "here", 1, "failed on %s", (SECRET,), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "failed on mreg_(left out)"


def test_a_jwt_is_left_out_too() -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl-_"
    found = line(PATH_INFO=f"/api/v1/models/{jwt}", HTTP_USER_AGENT=f"curl {jwt.rpartition('.')[0]} ok")
    assert (found["path"], found["user_agent"]) == ("/api/v1/models/eyJ(left out)", "curl eyJ(left out) ok")

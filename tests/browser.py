"""A headless Chromium, driven over its own DevTools protocol: two pipes and JSON, no driver in between.

Source: Chromium's `--remote-debugging-pipe`: messages end in NUL, it reads them from descriptor 3 and writes to 4.
"""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
    "--window-size=1280,1600",
)
PATIENCE_SECONDS = 60
EVENTS = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Network.requestWillBeSent"}

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")


class BrowserError(Exception):
    """A command that Chromium refused, or a script that failed."""


class Page:
    """One tab, and what happened in it since it was opened."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: dict[str, str] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters} | self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._answers, 1 << 20) if ready else b""
            assert chunk, "Chromium does not answer"
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        if message.get("method") in EVENTS:
            self.events.append((message["method"], message["params"]))
        return message

    def open(self, url: str) -> None:
        """Go to a page."""
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise BrowserError(found["exceptionDetails"])
        return found["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until a JavaScript expression is truthy."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with suppress(BrowserError):  # the page may just be going
                if self.run(f"!!({script})"):
                    return
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}; {self.complaints}")

    def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        self.call("Input.insertText", text=text)

    @property
    def complaints(self) -> list[str]:
        """What the console says that is no mere information: errors, warnings, broken rules of the policy."""
        found = []
        for method, event in self.events:
            entry = event.get("entry", event)
            if method == "Runtime.exceptionThrown" or entry.get("level", entry.get("type")) in {"error", "warning"}:
                found.append(json.dumps(event))
        return found

    @property
    def addresses(self) -> list[str]:
        """Everything that the page has asked for, data: addresses left out."""
        sent = [event["request"]["url"] for method, event in self.events if method == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def screenshot(self, file: Path) -> None:
        """Write what is seen into a PNG file."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(directory: Path) -> Iterator[Page]:
    """A browser with a profile of its own in this directory; it is gone afterwards."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # Above 9, so that setting 3 and 4 overwrites none of them.
    reads, writes = (fcntl.fcntl(number, fcntl.F_DUPFD, 10) for number in (theirs_in, theirs_out))
    command = ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "bash", str(CHROMIUM), *FLAGS]
    profile = f"--user-data-dir={directory / 'profile'}"
    with (directory / "chromium.log").open("wb") as log:
        browser = subprocess.Popen([*command, profile], pass_fds=(reads, writes), stdout=log, stderr=log)
    for number in (theirs_in, theirs_out, reads, writes):
        os.close(number)
    try:
        page = Page(ours_out, ours_in)
        yield page
        page.call("Browser.close")
    finally:
        os.close(ours_out)  # without its pipe it ends
        os.close(ours_in)
        browser.wait(PATIENCE_SECONDS)

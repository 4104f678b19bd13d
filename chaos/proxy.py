"""A TCP proxy between the service and its database, which can do what networks do: delay, stall, refuse, cut.

It reads along what the service says, so that it can cut a connection exactly before, at or after a COMMIT.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from chaos.wire import Frontend, is_commit

CHUNK = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""A socket that lingers for no time at all is closed by a reset."""


class Cut(Enum):
    """What happens to a connection at a COMMIT."""

    BEFORE = "before"
    """It breaks; the server never sees the COMMIT."""
    AT = "at"
    """The server gets the COMMIT, and the connection breaks at once."""
    AFTER = "after"
    """The server has done it and says so; the connection breaks before the service hears of it."""
    HOLE_BEFORE = "hole before"
    """The COMMIT vanishes, and everything after it; the connection stays open."""
    HOLE_AFTER = "hole after"
    """The server gets the COMMIT; its answer vanishes, and everything after it."""


@dataclass(frozen=True)
class Weather:
    """How the network is."""

    latency: float = 0.0
    """Seconds that every piece of an answer takes longer."""
    stalled: bool = False
    """Nothing arrives anywhere; connections stay open."""
    refusing: bool = False
    """Connections are reset as soon as they are made, and those that are there are cut."""
    cut: Cut | None = None
    """What happens at a COMMIT, if anything does."""
    one_in: int = 1
    """To how many COMMITs of a fine network there is one at which that happens, by chance."""


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    said: Frontend = field(default_factory=Frontend)
    deaf: bool = False
    """Nothing from here on arrives."""
    dying: bool = False
    """The next answer of the server ends it."""

    def cut(self) -> None:
        """Break both halves."""
        for half in (self.client, self.server):
            raw = half.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            half.transport.abort()


class Proxy:
    """Listens on a port of its own; runs in a thread of its own."""

    def __init__(self, server: int | str, seed: str = "") -> None:
        """Name the server: its port on this machine, or the path of its socket."""
        self.port = 0
        self.server = server
        self.weather = Weather()
        self.cuts: Counter[Cut] = Counter()
        self._chance = random.Random(seed)
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._fine = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self.port = self._ask(self._listen())

    def stop(self) -> None:
        """Cut everything and end."""
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, **changes: Any) -> None:
        """Let the weather change, from now on."""
        self._ask(self._change(replace(self.weather, **changes)))

    def clear(self) -> None:
        """Let it be fine."""
        self._ask(self._change(Weather()))

    def _ask(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(20)

    async def _listen(self) -> int:
        self._fine.set()
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        self._listener.close()
        await asyncio.sleep(0.01)  # whoever was let in has begun then, and is known
        for link in list(self._links):
            link.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _change(self, weather: Weather) -> None:
        self.weather = weather
        if weather.stalled:
            self._fine.clear()
        else:
            self._fine.set()
        if weather.refusing:
            for link in list(self._links):
                link.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # asyncio runs this in one
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._fine.wait()
        if self.weather.refusing:
            return
        answers, server = await self._reach()
        link = Link(writer, server)
        self._links.add(link)
        halves = [asyncio.ensure_future(self._ask_on(link, reader)), asyncio.ensure_future(self._answer(link, answers))]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            server.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server. Who is told to stop meanwhile leaves no connection behind that nobody knows."""
        if isinstance(self.server, str):
            opening = asyncio.ensure_future(asyncio.open_unix_connection(self.server))
        else:
            opening = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", self.server))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(OSError):
                (await opening)[1].transport.abort()
            raise

    async def _ask_on(self, link: Link, reader: asyncio.StreamReader) -> None:
        """Carry what the service says, message by message."""
        while data := await reader.read(CHUNK):
            for message in link.said.feed(data):
                await self._fine.wait()
                if is_commit(message) and (cut := self._draw()) is not None:
                    if self._strike(link, cut, message):
                        return
                elif not link.deaf:
                    link.server.write(message)
            await link.server.drain()

    def _draw(self) -> Cut | None:
        """Whether this COMMIT is one of those."""
        weather = self.weather
        if weather.cut is None or self._chance.randrange(weather.one_in):
            return None
        return weather.cut

    def _strike(self, link: Link, cut: Cut, commit: bytes) -> bool:
        """Do it; return whether the connection is over with that."""
        if link.deaf:
            return False
        self.cuts[cut] += 1
        link.deaf = cut in {Cut.HOLE_BEFORE, Cut.HOLE_AFTER}
        link.dying = cut is Cut.AFTER
        if cut not in {Cut.BEFORE, Cut.HOLE_BEFORE}:
            link.server.write(commit)
        if cut is Cut.BEFORE:
            link.cut()
        if cut is Cut.AT and self._chance.random() < 1 / 2:
            link.server.close()  # after what was written; a reset may overtake it, and that is the other half
        elif cut is Cut.AT:
            link.cut()
        return cut in {Cut.BEFORE, Cut.AT}

    async def _answer(self, link: Link, answers: asyncio.StreamReader) -> None:
        """Carry what the database says."""
        while data := await answers.read(CHUNK):
            if link.dying:
                link.cut()
                return
            if self.weather.latency:
                await asyncio.sleep(self.weather.latency)
            await self._fine.wait()
            if not link.deaf:
                link.client.write(data)
                await link.client.drain()
        if link.deaf:
            await asyncio.Event().wait()  # nobody hears that the server is gone

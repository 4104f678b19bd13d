"""A TCP load balancer, such as stands before several instances: it sends nobody to one that says it is not ready."""

import asyncio
import threading
from contextlib import suppress

CHUNK = 64 * 1024
SECONDS_BETWEEN_LOOKS = 0.1
LOOK = b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"


class Balancer:
    """Listens on a port of its own, in a thread of its own."""

    def __init__(self, ports: list[int]) -> None:
        self.port = 0
        self._ready = dict.fromkeys(ports, False)
        self._turn = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="balancer", daemon=True)

    def start(self) -> None:
        """Begin to listen and to look who is ready."""
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(20)

    def stop(self) -> None:
        """End."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def is_ready(self, port: int) -> bool:
        """Whether it sends anybody to this instance."""
        return self._ready[port]

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self._looks = [asyncio.ensure_future(self._look(port)) for port in self._ready]
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        self._server.close()
        left = [*self._looks, *self._serving]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _look(self, port: int) -> None:
        while True:
            self._ready[port] = await answers_well(port)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                for port in self._order():
                    try:
                        answers, server = await asyncio.open_connection("127.0.0.1", port)
                    except ConnectionRefusedError:
                        continue  # nothing was sent: another one may have it
                    try:
                        await asyncio.gather(pour(reader, server), pour(answers, writer))
                    finally:
                        server.close()
                    break
        finally:
            writer.close()

    def _order(self) -> list[int]:
        """Those who are ready, beginning with another one each time; then the others, for a look may be wrong."""
        ready = [port for port, is_ready in self._ready.items() if is_ready]
        self._turn += 1
        begin = self._turn % max(1, len(ready))
        return [*ready[begin:], *ready[:begin], *(port for port in self._ready if port not in ready)]


async def answers_well(port: int) -> bool:
    """Whether an instance says that it is ready, within two seconds."""
    try:
        async with asyncio.timeout(2):
            answer, ask = await asyncio.open_connection("127.0.0.1", port)
            ask.write(LOOK)
            line = await answer.readline()
            ask.close()
            return b" 200 " in line
    except (OSError, TimeoutError):
        return False


async def pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry everything from one to the other, and its end."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
    with suppress(OSError):
        target.close()

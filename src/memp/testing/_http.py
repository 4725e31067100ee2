"""Just enough HTTP/1.1 for a loopback server: read a request, write an answer, keep the connection."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

MAX_BODY: Final = 64_000_000
_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class Request(NamedTuple):
    """One HTTP request; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or None when the client is done with it.

    Raises:
        ValueError: it is not HTTP, or its body is too long or has no length.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        if not 0 <= size <= MAX_BODY or "transfer-encoding" in headers:
            raise ValueError("the body needs a content-length below 64 MB")
        body = await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise ValueError("the header is too long") from None
    return Request(method, target.partition("?")[0], headers, body)


def response(
    status: int, body: bytes, *, kind: str = "application/json", headers: Mapping[str, str] | None = None
) -> bytes:
    """An HTTP answer with `body`."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Answer')}",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Cut(Exception):
    """Cut the connection without an answer."""


class LoopbackServer:
    """Serves 127.0.0.1 from a thread with an event loop of its own; a context manager, sync and async."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    async def exchange(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request on its connection.

        Raises:
            Cut: the connection is to be cut instead.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Start serving.

        Raises:
            OSError: the port is taken.
        """
        failed: list[OSError] = []
        started = threading.Event()

        def run() -> None:
            try:
                asyncio.run(self._main(started))
            except OSError as error:
                failed.append(error)
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name="memp-loopback-server", daemon=True)
        self._thread.start()
        started.wait()
        if failed:
            self._thread.join()
            raise failed[0]

    def stop(self) -> None:
        """Cut all connections and stop; harmless when it does not run."""
        if self._thread is not None:
            self._stop()
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    async def _main(self, started: threading.Event) -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        handlers: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            handlers.add(task)
            task.add_done_callback(handlers.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._stop = lambda: loop.call_soon_threadsafe(over.set)
        started.set()
        await over.wait()
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                await self.exchange(request, reader, writer)
        except ValueError as error:
            writer.write(response(400, str(error).encode(), kind="text/plain"))
        except (Cut, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

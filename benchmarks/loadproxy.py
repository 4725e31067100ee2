"""A TCP proxy on loopback before a PostgreSQL server that cuts connections where it hurts (see faults.py)."""

import random
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """Lets everything through until `cutting` is set; then cuts in the middle of replies, and right at commits.

    Args:
        url: of the server, on a unix socket (`?host=FOLDER`).
        rng: draws where to cut.
    """

    def __init__(self, url: str, rng: random.Random) -> None:
        parts = urlsplit(url)
        self._socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._rng, self._open = rng, True
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://{parts.username}@127.0.0.1:{self._listening.getsockname()[1]}{parts.path}"
        self.cutting = False
        self.away = 0.0
        """Seconds for which nobody is let in after a commit was cut from its answer."""
        self._back = 0.0
        self.cuts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while self._open:
                client, _ = self._listening.accept()
                if time.monotonic() < self._back:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._socket)
                except OSError:
                    client.close()
                    continue
                room = self._rng.randrange(500, 200_000)
                for pump in (self._requests, self._replies):
                    threading.Thread(target=pump, args=(client, server, room), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, _: int) -> None:
        """From the client. A commit is cut before the server sees it, or after, before it can answer."""
        with suppress(OSError):
            while data := client.recv(65_536):
                draw = self._rng.random() if self.cutting and b"COMMIT" in data else 1.0
                if draw < 0.01:
                    server.sendall(data[: data.index(b"COMMIT")])
                    self._cut(client, server, "before a commit")
                    return
                if draw < 0.04:
                    server.sendall(data)
                    self._back = time.monotonic() + self.away
                    self._cut(client, server, "after a commit, before its answer")
                    return
                server.sendall(data)
        _close(server)
        _close(client)

    def _replies(self, client: socket.socket, server: socket.socket, room: int) -> None:
        """From the server; the connection is cut after `room` bytes of replies, in the middle of one."""
        with suppress(OSError):
            while data := server.recv(65_536):
                if self.cutting and len(data) >= room:
                    client.sendall(data[: max(1, room - 1)])
                    self._cut(client, server, "in a reply")
                    return
                room -= len(data) if self.cutting else 0
                client.sendall(data)
        _close(client)
        _close(server)

    def _cut(self, client: socket.socket, server: socket.socket, where: str) -> None:
        """The client sees a reset; the server reads what it was sent, and then the end."""
        self.cuts[where] += 1
        with suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _close(client)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()

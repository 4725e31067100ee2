"""The process side of `memp_bench.envs.pool`: makes players and does what it is asked, until its parent is gone.

A message is four bytes of length and a pickle, over stdin and stdout; nobody but the parent can write to either.
Whatever the engine prints goes to stderr.
"""

import importlib
import os
import pickle
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from memp.errors import MempError

LENGTH = struct.Struct(">I")


class Request(NamedTuple):
    """Call `method` of the player in `slot`."""

    number: int
    slot: int
    method: str
    arguments: tuple[Any, ...]


class Reply(NamedTuple):
    """The answer to request `number`: a value, or the name and message of an error."""

    number: int
    value: Any = None
    error: str = ""
    message: str = ""


def pack(message: object) -> bytes:
    """A message as it goes through a pipe."""
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


def find(name: str) -> Callable[..., Any]:
    """The callable `module:name`."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


class Players:
    """The players of this process, one a slot, made when first used and dropped when they break."""

    def __init__(self, factory: str, options: dict[str, Any]) -> None:
        self._factory = factory
        self._options = options
        self._players: dict[int, Any] = {}

    def answer(self, request: Request) -> bytes:
        """Do what is asked; the reply, packed. Errors become replies: the process goes on."""
        try:
            if request.slot not in self._players:
                self._players[request.slot] = find(self._factory)(**self._options)
            call = getattr(self._players[request.slot], request.method)
            return pack(Reply(request.number, call(*request.arguments)))
        except MempError as error:
            return pack(Reply(request.number, error=type(error).__name__, message=str(error)))
        except Exception as error:  # noqa: BLE001 - the boundary of an episode
            self._players.pop(request.slot, None)
            what = f"{request.method}: {type(error).__name__}: {error}"
            return pack(Reply(request.number, error=type(error).__name__, message=what))


def _listen(source: BinaryIO, inbox: "queue.SimpleQueue[Request]") -> None:
    """Pass requests on. When the parent is gone, so are we, whatever the main thread is doing."""
    while True:
        header = source.read(LENGTH.size)
        if len(header) < LENGTH.size:
            os._exit(0)
        body = source.read(LENGTH.unpack(header)[0])
        inbox.put(pickle.loads(body))


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the planner prints
    sys.stdout = sys.stderr
    inbox: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, inbox), daemon=True).start()
    first = inbox.get()
    players = Players(*first.arguments)
    while True:
        sink.write(players.answer(inbox.get()))
        sink.flush()

"""Players for the tests of the pool; imported by its worker processes."""

import os
import time
from typing import Any

from memp.errors import EnvironmentFailed, MissingExtra, UnknownName


class Player:
    """Counts, sleeps, crashes, prints: what a pool must cope with."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def add(self, number: int) -> int:
        self.count += number
        return self.count

    def pid(self) -> int:
        return os.getpid()

    def env(self, name: str) -> str | None:
        return os.environ.get(name)

    def chatter(self) -> str:
        print("to stdout")
        os.write(1, b"the planner's own output\n")
        return "said"

    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "awake"

    def die(self) -> None:
        os.write(2, b"last words\n")
        os._exit(7)

    def bug(self) -> None:
        raise ZeroDivisionError("a bug")

    def refuse(self, kind: str) -> None:
        if kind == "unknown":
            raise UnknownName("engine", "fats", ["fast", "stock"])
        if kind == "extra":
            raise MissingExtra("alfworld", "the engine")
        raise EnvironmentFailed("no such game")

    def unpicklable(self) -> Any:
        return lambda: None

"""Assertions that say what was found, and hold under `python -O` too."""

from collections.abc import Callable

from memp.testing.store_conformance.rule import Broken

_SHOWN = 400


def expect(condition: object, said: str) -> None:
    """What must be true.

    Raises:
        Broken: it is not.
    """
    if not condition:
        raise Broken(said)


def same(what: str, found: object, expected: object) -> None:
    """What must be equal.

    Raises:
        Broken: it is not; shows both.
    """
    if found != expected:
        raise Broken(f"{what}: expected {_short(expected)}, found {_short(found)}")


def refused(kind: type[Exception], what: str, call: Callable[[], object]) -> Exception:
    """What must raise an error of that kind (or one of its kinds). Returns the error.

    Raises:
        Broken: it does not, or raises something else.
    """
    try:
        call()
    except kind as error:
        return error
    except Exception as error:
        raise Broken(f"{what}: expected {kind.__name__}, got {type(error).__name__}: {error}") from error
    raise Broken(f"{what}: expected {kind.__name__}, but nothing was raised")


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"

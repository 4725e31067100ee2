"""PDDL translated once: what the engine needs of a translation, kept in memory and on disk.

Translating a game takes half a second and depends on nothing but the domain, the problem and the version of the
translator; the result is ~0.8 MB, a tenth of that compressed.
"""

import gc
import hashlib
import json
import logging
import os
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

log = logging.getLogger(__name__)

FORMAT = 1
_IN_MEMORY = 4  # a load and a reset ask for the same one
_SUFFIX = ".sas.z"

Typed = tuple[tuple[str, str], ...]
"""Names with their types."""


class Translation(NamedTuple):
    """A game in the planner's format, with the names the engine shows."""

    sas: str
    types: tuple[tuple[str, tuple[str, ...]], ...]
    """Type and its supertypes."""
    objects: Typed
    actions: tuple[tuple[str, Typed], ...]
    """Action and its parameters."""
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    """Predicate and arguments of what is true at the start, in the problem's order."""

    @classmethod
    def from_json(cls, text: str) -> "Translation":
        """Read what `to_json` wrote."""

        def frozen(value: Any) -> Any:
            return tuple(map(frozen, value)) if isinstance(value, list) else value

        return cls(*(frozen(field) for field in json.loads(text)))

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self, separators=(",", ":"))


def translate(domain: str, problem: str) -> Translation:
    """Run the translator. Changes process globals: only in a worker."""
    import fast_downward

    with _no_collection():
        task, sas = fast_downward.pddl2sas(domain, problem)
    return Translation(
        sas=sas,
        types=tuple((kind.name, tuple(kind.supertype_names)) for kind in task.types),
        objects=_typed(task.objects),
        actions=tuple((action.name, _typed(action.parameters)) for action in task.actions),
        facts=tuple(fact for fact in map(_fact, task.init) if fact),
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: the translator makes ten thousands of small objects that all live to its end,
    and going through them again and again takes a quarter of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _typed(things: Iterable[Any]) -> Typed:
    return tuple((thing.name, thing.type_name) for thing in things)


def _fact(atom: Any) -> tuple[str, tuple[str, ...]] | None:
    """As `PddlState` reads it: no equalities, no costs, no distances."""
    import fast_downward

    if isinstance(atom, fast_downward.translate.pddl.conditions.Atom):
        return None if atom.predicate == "=" else (atom.predicate, tuple(atom.args))
    if isinstance(atom, fast_downward.translate.pddl.f_expression.Assign):
        name = str(atom.expression.value)
        if atom.fluent.symbol != "total-cost" and not name.isdigit():
            return name, tuple(atom.fluent.args)
    return None


class Translator:
    """Translates each game once. `folder` keeps the results between processes; None keeps nothing on disk.

    The folder is a cache: a damaged or missing file is computed again, an unwritable folder is only logged, and
    beyond `max_bytes` the files unused for longest are removed.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = 2_000_000_000) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._recent: OrderedDict[str, Translation] = OrderedDict()
        self._written = 0
        self._made_by = f"{FORMAT}/{version('textworld')}/{version('fast-downward-textworld')}"

    def __call__(self, domain: str, problem: str) -> Translation:
        """The translation of a domain and a problem."""
        key = _key(self._made_by, domain, problem)
        found = self._recent.get(key) or self._read(key)
        if found is None:
            found = translate(domain, problem)
            self._write(key, found)
        self._recent[key] = found
        self._recent.move_to_end(key)
        if len(self._recent) > _IN_MEMORY:
            self._recent.popitem(last=False)
        return found

    def _read(self, key: str) -> Translation | None:
        if self._folder is None:
            return None
        path = self._folder / f"{key}{_SUFFIX}"
        try:
            found = Translation.from_json(zlib.decompress(path.read_bytes()).decode())
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, zlib.error, ValueError, TypeError) as error:
            log.warning("cached translation %s is unusable and is made again: %s", path, error)
            return None
        return found

    def _write(self, key: str, translation: Translation) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(self._folder / f"{key}{_SUFFIX}", zlib.compress(translation.to_json().encode(), 6))
            if self._written % 100 == 0:
                self._prune(self._folder)
            self._written += 1
        except OSError as error:
            log.warning("cannot cache translations in %s: %s", self._folder, error)

    def _prune(self, folder: Path) -> None:
        files = []
        for path in folder.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in files) - self._max_bytes
        for _, size, path in sorted(files):
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= size


def _key(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def _write_atomically(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise

"""Where memories of a study, a run or the demo are: files in its folder, or namespaces of a database."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, Self

from memp.errors import MempError, StoreMissing
from memp.models.registry import embedder as named_embedder
from memp.records import Record, new_id
from memp.stores.base import Store
from memp.stores.connect import connect, is_url, without_password
from memp.stores.copying import copy
from memp.stores.sqlite import SqliteStore

_FILE: Final = "memories.json"
_FOLDER: Final = 40
_SLUG: Final = 120
"""Characters of a folder's name and, at its end, of a slug: a namespace has at most 200."""


class Spot(NamedTuple):
    """Where one memory is: the file or database, and the namespace in it."""

    place: Path | str
    namespace: str = "default"

    @property
    def told(self) -> str:
        """For people, without a password."""
        if isinstance(self.place, Path):
            return str(self.place)
        return f"{without_password(self.place)}, namespace {self.namespace}"

    def there(self) -> bool:
        """Whether anything is kept there."""
        if isinstance(self.place, Path):
            return self.place.exists()
        with closing(connect(self.place)) as store:
            return self.namespace in store.namespaces()


class Kept(Record):
    """A database that holds a study's memories, as the study's folder remembers it."""

    address: str
    """Without a password."""
    name: str
    """Namespaces begin with it. Drawn for each folder, so that no two of them meet in one database."""
    folder: str
    """Where the study's folder is: a copy of it must not write to the same memories."""

    @classmethod
    def of(cls, address: str, folder: Path) -> Self:
        """For a study that is begun in `folder`."""
        whole = folder.resolve()
        name = f"{whole.name[:_FOLDER]}-{new_id()[:8]}"
        return cls(address=without_password(address), name=name, folder=str(whole))


class Home(NamedTuple):
    """Where a study keeps its memories."""

    folder: Path
    """The study's."""
    address: str | None = None
    """Of a database; None keeps them as files in the folder."""
    name: str = ""
    """Namespaces in the database begin with it."""

    def learned(self, slug: str) -> Spot:
        """The learned memory of that name."""
        return self._spot("memories", slug, self.folder / "memories" / f"{slug}.db")

    def cell(self, slug: str) -> Spot:
        """The cell's own memory."""
        return self._spot("runs", slug, self.folder / "runs" / slug / "memory.db")

    @classmethod
    def settle(cls, folder: Path, address: str | None) -> Self:
        """Where memories of what is begun or goes on in `folder` are, as a file in it says (a study's manifest does).

        Raises:
            MempError: it was begun with memories elsewhere.
        """
        file, begun = folder / _FILE, folder.exists() and any(folder.iterdir())
        kept = Kept.parse(file.read_text(encoding="utf-8")) if file.exists() else None
        if kept is None and address is not None and not begun:
            kept = Kept.of(address, folder)
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(kept.model_dump_json(indent=2) + "\n", encoding="utf-8")
        was = kept.address if kept else "files in the folder"
        asked = without_password(address) if address else "files in the folder"
        if was != asked:
            raise MempError(f"{folder} was begun with memories in {was}, not {asked}; choose another --out")
        return cls(folder, address, kept.name if kept else "")

    def _spot(self, kind: str, slug: str, file: Path) -> Spot:
        # a slug ends with a digest: of a long one the end is kept
        return Spot(file) if self.address is None else Spot(self.address, f"{self.name}/{kind}/{slug[-_SLUG:]}")


def start_from(source: Spot | None, target: Spot, embedder: str = "static") -> None:
    """Give a run its own copy of a memory, once and whole, with the vectors of `embedder` where it costs to make them.

    Raises:
        StoreMissing: there is no such memory any more.
    """
    if source is None or target.there():
        return
    if not source.there():
        raise StoreMissing(f"there is no memory at {source.told} any more, from which {target.told} is to start")
    if isinstance(target.place, Path) and isinstance(source.place, Path):
        _copy_file(source.place, target.place)
    elif isinstance(target.place, Path):
        part = target.place.with_suffix(".part")
        part.unlink(missing_ok=True)
        _copy_namespace(source, Spot(part, target.namespace), embedder)
        part.replace(target.place)
    else:
        _copy_namespace(source, target, embedder)


def _copy_file(source: Path, target: Path) -> None:
    SqliteStore(source, create=False).close()  # a clear error if it is no memory
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    with sqlite3.connect(source) as db:
        db.execute("VACUUM INTO ?", (str(part),))
    db.close()
    part.replace(target)


def _copy_namespace(source: Spot, target: Spot, embedder: str) -> None:
    with closing(connect(source.place, create=False)) as there, closing(connect(target.place)) as here:
        if embedder != "static":  # before the copy, which makes it whole
            space = named_embedder(embedder).fingerprint
            known = there.vectors(space, _texts(there, source.namespace), source.namespace)
            here.save_vectors(space, known.items(), target.namespace)
        for _ in copy(there, here, [source.namespace], into=target.namespace):
            pass


def _texts(store: Store, namespace: str) -> list[str]:
    """What of a memory is embedded: its tasks, and the values of their facts."""
    heads = store.heads(namespace, "")
    facts: Iterable[dict[str, str]] = (json.loads(head.facts) for head in heads)
    return sorted({head.task for head in heads} | {value for values in facts for value in values.values()})


def place_of(given: str) -> Path | str:
    """What `--memory` names: an address as it is, anything else as a file."""
    return given if is_url(given) else Path(given)

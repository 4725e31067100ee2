"""The index of one namespace: a view of the store that catches up by itself and can always be rebuilt."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from memp.errors import ModelError
from memp.models.base import Embedder, Vectors
from memp.records import SERVABLE, Content
from memp.stores.base import Head, Store
from memp.stores.vectors import VectorTable

_AT_ONCE = 2_000
_UNIT = 1e-4
"""How far from 1 the length of a unit vector may be."""


class Index:
    """Vectors of the tasks and facts of a namespace's procedures, one row a procedure in order of creation."""

    def __init__(self, store: Store, namespace: str, embedder: Embedder) -> None:
        self._store = store
        self._namespace = namespace
        self._embedder = embedder
        self._erasures = store.erasures(namespace)
        self._seen = 0
        self._version = -1
        self._asked: int | None = None
        self._row: dict[str, int] = {}
        self._hidden: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._failed: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self._facts: list[str] = []
        self._slots: dict[str, SlotTable] = {}
        self._with_facts = 0
        self._stale_facts: set[int] = set()
        self._hiding = False
        self.ids: list[str] = []
        self.tasks: list[str] = []
        self.table: VectorTable | None = None
        self.revised: list[int] = []
        """Rows that were revised since they came, in order: what else is derived from rows catches up with it."""

    def __len__(self) -> int:
        return len(self.ids)

    def renewed(self) -> "Index":
        """This index, or a new one when something was erased for good: whoever is ranking goes on with the old one."""
        if self._rests() or self._store.erasures(self._namespace) == self._erasures:
            return self
        return self._anew()

    def _anew(self) -> "Index":
        return Index(self._store, self._namespace, self._embedder)

    def _rests(self) -> bool:
        """Whether nothing was written since; the version is not asked for again by the `refresh` that follows."""
        self._asked = self._store.version(self._namespace)
        return self._asked == self._version

    async def refresh(self) -> None:
        """Catch up with what this and other processes wrote."""
        version = self._asked if self._asked is not None else self._store.version(self._namespace)
        self._asked = None
        if version == self._version:
            return
        heads = self._store.heads(self._namespace, self._embedder.fingerprint, self._seen)
        if heads:
            vectors = await self._vectors(heads)
            # While they were on their way, who asked later may have taken what is newer: it must not be undone.
            new = [row for row, head in enumerate(heads) if head.changed > self._seen]
            if new:
                self._take([heads[row] for row in new], vectors if len(new) == len(heads) else vectors[new])
                self._seen = max(self._seen, *(heads[row].changed for row in new))
        self._version = version

    def hidden(self, *, status: str = "active", only_success: bool = False) -> NDArray[np.bool_] | None:
        """Rows that must not be served; None when all may. Shape (len(self),)."""
        n = len(self)
        if status == "any":
            mask = None
        elif status == "active":
            mask = self._hidden[:n] if self._hiding else None
        else:
            mask = ~self._hidden[:n]
        if only_success:
            mask = self._failed[:n] if mask is None else mask | self._failed[:n]
        return mask

    def nearest(self, vector: Vectors, k: int, hidden: NDArray[np.bool_] | None) -> list[tuple[str, float]]:
        """Ids and cosines of the `k` procedures nearest to a unit vector, best first, equal ones oldest first."""
        if self.table is None:
            return []
        rows, scores = self.table.top(vector, k, hidden)
        return [(self.ids[row], score) for row, score in zip(rows, scores, strict=True)]

    def numbers(self, ids: Sequence[str]) -> dict[str, int]:
        """The current revision's number of each procedure."""
        return {procedure.id: procedure.revision.number for procedure in self._store.find(self._namespace, ids)}

    def deeds(self, rows: Sequence[int]) -> list[tuple[str, Sequence[str]]]:
        """For each row the task of its procedure and what to do: the script's steps, or the actions that were taken."""
        found = self._store.find(self._namespace, [self.ids[row] for row in rows])
        contents = {procedure.id: procedure.content for procedure in found}
        return [(self.tasks[row], self._steps(contents.get(self.ids[row]))) for row in rows]

    def _steps(self, content: Content | None) -> Sequence[str]:
        if content is None:
            return ()
        if content.script is not None:
            return content.script.steps
        done = self._store.trajectory(self._namespace, content.trajectory_id) if content.trajectory_id else None
        return () if done is None else [step.action for step in done.steps if step.error is None and step.action]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of query texts (not kept), checked and of length 1 (or 0).

        Raises:
            ModelError: the embedder failed, or answered with something that is not one vector a text.
        """
        vectors = np.asarray(await self._embedder.embed(texts), dtype=np.float32)
        expected = (len(texts), self._embedder.dimensions)
        if vectors.shape != expected:
            raise ModelError(f"embeddings of shape {vectors.shape}, expected {expected}", provider=self._name)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        if not np.abs(lengths - (lengths > 0)).max(initial=0.0) <= _UNIT:
            if not np.isfinite(lengths).all():
                raise ModelError("embeddings that are not finite numbers", provider=self._name)
            vectors = vectors / np.where(lengths > 0, lengths, 1).astype(np.float32)[:, None]
        return vectors

    @property
    def _name(self) -> str:
        return f"embedder {self._embedder.fingerprint}"

    async def slots(self) -> Mapping[str, "SlotTable"]:
        """For every slot of the facts, the vectors of its values. Built on first use, then kept up to date."""
        wanted = [*sorted(self._stale_facts), *range(self._with_facts, len(self))]
        if not wanted:
            return self._slots
        texts = {row: self._facts[row] for row in wanted}
        values = {row: json.loads(text) for row, text in texts.items()}
        distinct = sorted({value for slots in values.values() for value in slots.values()})
        vectors = dict(zip(distinct, await self._cached(distinct), strict=True))
        # While the vectors were on their way, other rows may have come and these may have changed.
        self._with_facts = max(self._with_facts, wanted[-1] + 1)
        self._stale_facts.difference_update(wanted)
        self._stale_facts.update(row for row in wanted if self._facts[row] != texts[row])
        for table in self._slots.values():
            table.grow(len(self))
            table.forget(wanted)
        for row, slots in values.items():
            for slot, value in slots.items():
                if slot not in self._slots:
                    self._slots[slot] = SlotTable(len(self), self._embedder.dimensions)
                self._slots[slot].put(row, value, vectors[value])
        return self._slots

    async def _vectors(self, heads: Sequence[Head]) -> Vectors:
        kept = [head.vector for head in heads]
        if None not in kept:
            return np.frombuffer(b"".join(kept), dtype=np.float32).reshape(len(heads), -1)  # type: ignore[arg-type]
        missing = sorted({head.task for head in heads if head.vector is None})
        fresh = dict(zip(missing, await self._embed_and_keep(missing), strict=True))
        return np.stack(
            [fresh[h.task] if h.vector is None else np.frombuffer(h.vector, dtype=np.float32) for h in heads]
        )

    async def _cached(self, texts: Sequence[str]) -> list[Vectors]:
        known = self._store.vectors(self._embedder.fingerprint, texts, self._namespace)
        missing = [text for text in texts if text not in known]
        known.update(zip(missing, await self._embed_and_keep(missing), strict=True))
        return [known[text] for text in texts]

    async def _embed_and_keep(self, texts: Sequence[str]) -> Vectors | list[Vectors]:
        if not texts:
            return []
        parts = []
        for start in range(0, len(texts), _AT_ONCE):  # an interruption loses one part, not all
            part = texts[start : start + _AT_ONCE]
            parts.append(await self.embed(part))
            self._store.save_vectors(self._embedder.fingerprint, zip(part, parts[-1], strict=True), self._namespace)
        return np.concatenate(parts)

    def _take(self, heads: Sequence[Head], vectors: Vectors) -> None:
        """Let these procedures, with the vectors of their tasks, be found."""
        if self.table is None:
            self.table = VectorTable(vectors.shape[1])
        start = len(self.ids)
        new = [n for n, head in enumerate(heads) if head.id not in self._row] if start else range(len(heads))
        fresh = [heads[n] for n in new] if start else heads
        self.table.extend(vectors[new] if len(new) < len(heads) else vectors)
        self._reserve(start + len(fresh))
        ids = [head.id for head in fresh]
        self._row.update(zip(ids, range(start, start + len(ids)), strict=True))
        self.ids += ids
        self.tasks += [head.task for head in fresh]
        self._facts += [head.facts for head in fresh]
        self._hidden[start : len(self)] = [head.status not in SERVABLE for head in fresh]
        self._failed[start : len(self)] = [not head.success for head in fresh]
        for n, head in enumerate(heads) if len(new) < len(heads) else ():
            if (row := self._row[head.id]) < start:
                self._revise(row, head, vectors[n])
        self._hiding = bool(self._hidden.any())

    def _revise(self, row: int, head: Head, vector: Vectors) -> None:
        if self.table is not None and self.tasks[row] != head.task:
            self.tasks[row] = head.task
            self.table.replace(row, vector)
        self._facts[row] = head.facts
        self.revised.append(row)
        self._hidden[row] = head.status not in SERVABLE
        if row < self._with_facts:
            self._stale_facts.add(row)

    def _reserve(self, size: int) -> None:
        if size <= len(self._hidden):
            return
        capacity = max(size, int(len(self._hidden) * 1.5), 64)
        for name in ("_hidden", "_failed"):
            old = getattr(self, name)
            new = np.zeros(capacity, dtype=np.bool_)
            new[: len(old)] = old
            setattr(self, name, new)


class SlotTable:
    """The values that procedures have for one slot: distinct values once, with the rows that hold them."""

    def __init__(self, rows: int, dimensions: int) -> None:
        self._table = VectorTable(dimensions)
        self._value: dict[str, int] = {}
        self._of_row = np.full(rows, -1, dtype=np.int64)

    def grow(self, rows: int) -> None:
        """Make room for `rows` procedures."""
        if rows > len(self._of_row):
            self._of_row = np.concatenate([self._of_row, np.full(rows - len(self._of_row), -1, dtype=np.int64)])

    def forget(self, rows: Sequence[int]) -> None:
        """These procedures have no value until one is put."""
        self._of_row[rows] = -1

    def put(self, row: int, value: str, vector: Vectors) -> None:
        """Procedure `row` has `value` in this slot."""
        if value not in self._value:
            self._value[value] = len(self._table)
            self._table.extend(vector[None, :])
        self._of_row[row] = self._value[value]

    def scores(self, query: Vectors) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Cosine of every procedure's value with `query` (0 where it has none), and which have one."""
        has = self._of_row >= 0
        scores = np.zeros(len(self._of_row))
        scores[has] = self._table.scores(query)[self._of_row[has]]
        return scores, has

"""Procedures, and the vectors of their tasks."""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memp.records import Procedure, Receipt, Revision
from memp.stores.base import Head, Write, text_key
from memp.stores.postgres import statements as sql
from memp.stores.postgres.errors import translated
from memp.stores.postgres.part import Part
from memp.stores.postgres.texts import all_of, plain, safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.writing import append, check_parent, insert_receipt
from memp.stores.statements import check_namespace

_SHARED: Final = ""
"""The namespace of vectors that are there for all."""


class Procedures(Part):
    """Writes revisions and finds procedures by id, words, origin or what changed."""

    def write(
        self,
        namespace: str,
        writes: Sequence[Write],
        *,
        consume: str | None,
        receipt_id: str,
        receipt: Receipt | None = None,
    ) -> bool:
        """See `Store.write`."""
        check_namespace(namespace)
        ids = [safe(write.revision.procedure_id) for write in writes]
        if not ids and consume is None and receipt is None:
            return True

        def body(transaction: Transaction) -> bool:
            held = transaction.hold(len(writes) + 1)
            current = transaction.send(sql.CURRENT, ids=ids)
            if consume is not None:
                taken = transaction.send(sql.CONSUME, id=safe(consume), by=safe(receipt_id))
                if taken.row() is None:
                    transaction.undo = True
                    return False
            seq = held()
            heads: dict[str, int] = dict(current.rows())
            for write in writes:
                check_parent(write.revision, heads)
                heads[safe(write.revision.procedure_id)] = write.revision.number
            append(transaction, list(zip(writes, count(seq + 1))))
            seq += len(writes)
            if receipt is not None:
                insert_receipt(transaction, receipt, seq + 1)
            transaction.send(sql.CHANGED, changed=seq + 1)
            return True

        return self._pool.write(namespace, body)

    def heads(self, namespace: str, fingerprint: str, since: int = 0) -> Sequence[Head]:
        """See `Store.heads`."""
        # Two passes and no join: without statistics of the tables a join of all of them may take a minute.
        if since or not fingerprint:
            rows, known = self._pool.read(namespace, sql.HEADS, since=since), dict[bytes, bytes]()
            if fingerprint:
                known = self._vectors(namespace, fingerprint, sorted({row[7] for row in rows}))
        else:
            all_of_them = (sql.ALL_VECTORS, {"fingerprint": safe(fingerprint)})
            rows, vectors = self._pool.read_all(namespace, (sql.HEADS, {"since": 0}), all_of_them)
            known = dict(vectors)
        missing = {row[7] for row in rows} - known.keys() if fingerprint else set()
        known |= self._vectors(_SHARED, fingerprint, sorted(missing))
        return [
            Head(seq, plain(id), changed, status, success, plain(task), facts, known.get(key))
            for seq, id, changed, status, success, task, facts, key in rows
        ]

    def find(self, namespace: str, ids: Sequence[str]) -> Sequence[Procedure]:
        """See `Store.find`."""
        if not ids:
            return []
        rows = self._pool.read(namespace, sql.FIND, ids=[safe(id) for id in ids])
        found = {p.id: p for p in self._procedures(namespace, rows)}
        return [found[id] for id in ids if id in found]

    def at(self, namespace: str, revisions: Sequence[tuple[str, int]]) -> Sequence[Procedure]:
        """See `Store.at`."""
        if not revisions:
            return []
        ids, numbers = [safe(id) for id, _ in revisions], [number for _, number in revisions]
        rows = self._pool.read(namespace, sql.AT, ids=ids, numbers=numbers)
        found = {(p.id, p.revision.number): p for p in self._procedures(namespace, rows)}
        return [found[key] for key in revisions if key in found]

    def built_from(self, namespace: str, origin: bytes) -> str | None:
        """See `Store.built_from`."""
        return self._one(plain, self._pool.read(namespace, sql.BUILT_FROM, origin=origin))

    def history(self, namespace: str, id: str) -> Sequence[tuple[Revision, int, int]]:
        """See `Store.history`."""
        rows = self._pool.read(namespace, sql.HISTORY, id=safe(id))
        with translated(self.place):
            return [(Revision.model_validate_json(body), served, succeeded) for body, served, succeeded in rows]

    def search(self, namespace: str, words: str, limit: int) -> Sequence[Procedure]:
        """See `Store.search`."""
        query = all_of(words)
        if not query:
            safe(namespace).encode()  # half of a surrogate pair is refused here too
            return []
        return self._procedures(namespace, self._pool.read(namespace, sql.SEARCH, query=query, n=limit))

    # -- vectors -----------------------------------------------------------------------------------

    def vectors(self, fingerprint: str, texts: Sequence[str], namespace: str = "") -> dict[str, NDArray[np.float32]]:
        """See `Store.vectors`."""
        keys = {text: text_key(text) for text in texts}
        found = self._vectors(namespace, fingerprint, sorted(set(keys.values())))
        if namespace and len(found) < len(set(keys.values())):
            found = self._vectors(_SHARED, fingerprint, sorted(set(keys.values()) - set(found))) | found
        return {text: np.frombuffer(found[key], dtype=np.float32) for text, key in keys.items() if key in found}

    def save_vectors(
        self, fingerprint: str, vectors: Iterable[tuple[str, NDArray[np.float32]]], namespace: str = ""
    ) -> None:
        """See `Store.save_vectors`."""
        rows = {text_key(text): vector.astype(np.float32).tobytes() for text, vector in vectors}

        def write(transaction: Transaction) -> None:
            # in one order, so that two who save the same do not wait for each other
            transaction.send(
                sql.SAVE_VECTORS,
                fingerprint=safe(fingerprint),
                keys=sorted(rows),
                vectors=[rows[key] for key in sorted(rows)],
            )

        if rows:
            self._pool.write(namespace, write, durable=False)

    def _vectors(self, namespace: str, fingerprint: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        if not keys:
            return {}
        return dict(self._pool.read(namespace, sql.VECTORS, fingerprint=safe(fingerprint), keys=keys))

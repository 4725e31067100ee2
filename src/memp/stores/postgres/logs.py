"""What was served and what came of it, what operations did, and replies of those that have not finished."""

from collections.abc import Sequence

from memp.recall import Recall
from memp.records import Outcome, Receipt
from memp.stores.entries import LoggedRecall
from memp.stores.postgres import statements as sql
from memp.stores.postgres.errors import translated
from memp.stores.postgres.pool import Pool
from memp.stores.postgres.procedures import Procedures
from memp.stores.postgres.texts import plain, safe
from memp.stores.postgres.transaction import Transaction
from memp.stores.postgres.writing import insert_recall, insert_receipt
from memp.stores.statements import check_namespace


class Logs(Procedures):
    """Keeps and reads recalls, outcomes, receipts and drafts."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._named: set[str] = set()
        """Namespaces that are listed."""

    def log_recall(self, recall: Recall) -> None:
        """See `Store.log_recall`."""

        def write(transaction: Transaction) -> None:
            if recall.namespace not in self._named:
                transaction.send(sql.NAMED)
                transaction.send(sql.HOLDS, holds=True)
            insert_recall(transaction, LoggedRecall.of(recall))

        self._pool.write(recall.namespace, write, durable=False)
        self._named.add(recall.namespace)

    def recalls(self, namespace: str, id: str | None = None, limit: int = 50) -> Sequence[Recall]:
        """See `Store.recalls`."""
        if id is not None:
            rows = self._pool.read(namespace, sql.RECALL, id=safe(id))
        else:
            rows = self._pool.read(namespace, sql.LAST_RECALLS, n=limit)
        with translated(self.place):
            logged = [LoggedRecall.model_validate_json(body) for (body,) in rows[:limit]]
        served = {key for recall in logged for key in recall.served()}
        found = {(p.id, p.revision.number): p for p in self.at(namespace, sorted(served))}
        return [recall.recall(namespace, lambda id, number: found.get((id, number))) for recall in logged]

    def outcomes(self, namespace: str, limit: int = 50) -> Sequence[Outcome]:
        """See `Store.outcomes`."""
        return self._log(Outcome, self._pool.read(namespace, sql.LAST_OUTCOMES, n=limit))

    def outcomes_since(self, namespace: str, seq: int = 0) -> Sequence[tuple[int, Outcome]]:
        """See `Store.outcomes_since`."""
        rows = self._pool.read(namespace, sql.OUTCOMES, seq=seq, n=None)
        with translated(self.place):
            return [(number, Outcome.model_validate_json(body)) for number, body in rows]

    def log_receipt(self, namespace: str, receipt: Receipt) -> None:
        """See `Store.log_receipt`."""
        check_namespace(namespace)

        def write(transaction: Transaction) -> None:
            insert_receipt(transaction, receipt, transaction.hold(1)() + 1)

        self._pool.write(namespace, write)

    def receipts(self, namespace: str, limit: int = 50) -> Sequence[Receipt]:
        """See `Store.receipts`."""
        return self._log(Receipt, self._pool.read(namespace, sql.LAST_RECEIPTS, n=limit))

    def draft(self, namespace: str, key: str) -> str | None:
        """See `Store.draft`."""
        return self._one(plain, self._pool.read(namespace, sql.DRAFT, key=safe(key)))

    def save_draft(self, namespace: str, key: str, text: str) -> None:
        """See `Store.save_draft`."""

        def write(transaction: Transaction) -> None:
            transaction.send(sql.SAVE_DRAFT, key=safe(key), text=safe(text))

        self._pool.write(namespace, write)

    def drop_drafts(self, namespace: str, keys: Sequence[str]) -> None:
        """See `Store.drop_drafts`."""

        def write(transaction: Transaction) -> None:
            transaction.send(sql.DROP_DRAFTS, keys=[safe(key) for key in keys])
            transaction.send(sql.DROP_LEFT_DRAFTS)

        self._pool.write(namespace, write, durable=False)

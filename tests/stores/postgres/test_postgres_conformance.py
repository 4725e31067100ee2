from contextlib import contextmanager
from functools import partial

import pytest

from memp.stores.postgres import PostgresStore
from memp.testing.store_conformance import RULES, Harness


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_postgres_keeps_the_rule(rule, url):
    @contextmanager
    def make():
        connect = partial(PostgresStore, url)
        store = connect()
        try:
            yield Harness(store, connect)
        finally:
            store.close()

    result = rule.run(make)
    assert result.status == "passed", result.reason

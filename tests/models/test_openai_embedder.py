import asyncio
import json

import numpy as np
import pytest

from memp.errors import BudgetExceeded, ModelError, RateLimited, UnusableReply
from memp.models.base import Embedder
from memp.models.metered import Budget, Meter
from memp.models.openai import OpenAIEmbedder
from memp.records import Usage
from memp.testing._http import LoopbackServer, response
from memp.testing.chat import CharEmbedder, ScriptedChat
from memp.testing.faults import Faults
from memp.testing.wire import WireServer

NOBODY = ScriptedChat([])


def embedder(server: WireServer, **options) -> OpenAIEmbedder:
    return OpenAIEmbedder("toy-embed", **{"base_url": server.url, "max_retries": 0, "timeout": 5.0, **options})


async def test_vectors_come_back_in_order_in_batches():
    texts = [f"clean apple number {i}" for i in range(23)]
    with WireServer(NOBODY, delay=0.05) as server:
        model = embedder(server, batch=5, max_concurrency=3)
        vectors = await model.embed(texts)
        assert isinstance(model, Embedder)
        await model.close()
    assert vectors.shape == (23, 64)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, await CharEmbedder().embed(texts), atol=1e-6)
    assert len(server.exchanges) == 5
    assert server.peak == 3


async def test_dimensions_are_learned_and_the_fingerprint_stays():
    with WireServer(NOBODY) as server:
        model = embedder(server)
        before = model.fingerprint
        with pytest.raises(ModelError, match="after the first embed"):
            _ = model.dimensions
        assert (await model.embed([])).shape == (0, 64)
        assert model.dimensions == 64
        assert model.fingerprint == before == "openai:toy-embed:native"
        await model.close()
        model = embedder(server, dimensions=16)
        assert (await model.embed(["a"])).shape == (1, 16)
        assert model.fingerprint == "openai:toy-embed:16"
        await model.close()
    assert OpenAIEmbedder("text-embedding-3-small").dimensions == 1536
    assert OpenAIEmbedder("text-embedding-3-small").fingerprint == "openai:text-embedding-3-small:1536"
    assert OpenAIEmbedder("text-embedding-3-small", dimensions=256).fingerprint.endswith(":256")


async def test_blank_texts_are_not_sent():
    with WireServer(NOBODY) as server:
        model = embedder(server)
        vectors = await model.embed(["", "apple", " \n"])
        await model.close()
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [0.0, 1.0, 0.0], atol=1e-6)


async def test_usage_is_counted_and_capped():
    meter = Meter(Budget(calls=2))
    with WireServer(NOBODY) as server:
        model = embedder(server, meter=meter, batch=1, max_concurrency=1, price=(0.5, 0.0))
        await model.embed(["apple", "pear"])
        with pytest.raises(BudgetExceeded, match="2 calls"):
            await model.embed(["plum"])
        await model.close()
        assert len(server.exchanges) == 2
    used = meter.usage["embed"]
    assert used.calls == 2
    assert used.input_tokens == server.served["toy-embed"].input_tokens
    assert used.cost == pytest.approx(used.input_tokens * 0.5 / 1e6)


async def test_a_failed_batch_stops_the_others():
    with WireServer(NOBODY, faults=Faults(rate_429=1.0, in_a_row=99)) as server:
        meter = Meter()
        model = embedder(server, batch=1, max_concurrency=1, meter=meter)
        with pytest.raises(RateLimited):
            await model.embed([f"text {i}" for i in range(20)])
        await model.close()
        assert len(server.exchanges) < 5
    # The next batch may have been on its way when the first failed: then it was cancelled, and it counts.
    assert len(server.exchanges) <= meter.usage["embed"].calls <= len(server.exchanges) + 1


async def test_a_request_answered_with_an_error_costs_nothing():
    with WireServer(NOBODY, faults=Faults(rate_429=1.0, in_a_row=99)) as server:
        meter = Meter()
        model = embedder(server, meter=meter)
        with pytest.raises(RateLimited):
            await model.embed(["apple"])
        await model.close()
    assert meter.usage["embed"] == Usage(calls=1, cost=0.0)


class Saying(LoopbackServer):
    def __init__(self, rows: list[object], indexes: list[int] | None = None) -> None:
        super().__init__()
        places = range(len(rows)) if indexes is None else indexes
        data = [{"object": "embedding", "index": i, "embedding": row} for i, row in zip(places, rows, strict=True)]
        self.body = json.dumps({"object": "list", "model": "m", "data": data}).encode()

    async def exchange(self, request, reader, writer) -> None:
        writer.write(response(200, self.body))
        await writer.drain()


async def embed(server: Saying, texts: list[str]):
    with server:
        model = OpenAIEmbedder("m", base_url=f"http://127.0.0.1:{server.port}/v1", max_retries=0)
        try:
            return await model.embed(texts)
        finally:
            await model.close()


async def test_shuffled_vectors_are_put_in_order():
    vectors = await embed(Saying([[0.0, 2.0], [3.0, 0.0]], [1, 0]), ["a", "b"])
    np.testing.assert_array_equal(vectors, [[1.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("rows", "indexes", "words"),
    [
        ([[1.0]], None, "1 vectors for 2 texts"),
        ([[1.0], [1.0], [1.0]], None, "3 vectors for 2 texts"),
        ([[1.0], [1.0]], [0, 0], "wrong numbers"),
        ([[1.0], [1.0, 2.0]], None, r"vectors of \[1, 2\] numbers"),
        ([[], []], None, r"vectors of \[0\] numbers"),
        ([[1.0], [float("nan")]], None, "not finite"),
        ([[1.0], [float("inf")]], None, "not finite"),
        ([[1.0], ["x"]], None, "not a number"),
    ],
)
async def test_vectors_that_do_not_fit(rows, indexes, words):
    with pytest.raises(UnusableReply, match=words):
        await embed(Saying(rows, indexes), ["a", "b"])


async def test_no_data_at_all():
    with pytest.raises(ModelError, match="could not be read"):
        await embed(Saying([]), ["a"])


async def test_a_size_that_changes_between_replies():
    with WireServer(NOBODY, embedder=CharEmbedder(8)) as server:
        model = embedder(server)
        await model.embed(["a"])
        server._embedder = CharEmbedder(9)
        with pytest.raises(UnusableReply, match=r"vectors of \[9\] numbers instead of 8"):
            await model.embed(["a"])
        await model.close()


def test_options_that_make_no_sense():
    with pytest.raises(ValueError, match="batch and dimensions"):
        OpenAIEmbedder("m", batch=0)
    with pytest.raises(ValueError, match="batch and dimensions"):
        OpenAIEmbedder("m", dimensions=0)


async def test_cancelling_leaves_nothing_behind():
    with WireServer(NOBODY, delay=5.0) as server:
        model = embedder(server, batch=1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(model.embed(["a", "b", "c"]), 0.1)
        assert len(asyncio.all_tasks()) == 1
        await model.close()

import subprocess
import sys

import numpy as np
import pytest

from memp.errors import ModelError, RateLimited
from memp.models.base import ChatModel, Embedder, Message, Reply
from memp.records import Usage
from memp.testing.chat import CharEmbedder, ScriptedChat, count_tokens

ASK = [Message(role="user", content="look")]


async def test_the_script_is_followed():
    whole = Reply(text="b", usage=Usage(calls=1, cost=1.0), model="m", stop="length")
    model = ScriptedChat(["a", whole, RateLimited("slow")])
    assert isinstance(model, ChatModel)
    first = await model.complete(ASK, purpose="script")
    assert (first.text, first.usage) == ("a", Usage(calls=1, input_tokens=1, output_tokens=1, cost=0.0))
    assert await model.complete(ASK) is whole
    with pytest.raises(RateLimited):
        await model.complete(ASK)
    with pytest.raises(ModelError, match="has 3 replies and this is call 4"):
        await model.complete(ASK)
    assert [call.purpose for call in model.calls] == ["script", "act", "act", "act"]


async def test_a_function_answers():
    model = ScriptedChat(lambda messages: messages[-1].content.upper())
    assert (await model.complete(ASK)).text == "LOOK"


async def test_character_embeddings_know_spelling():
    model = CharEmbedder()
    assert isinstance(model, Embedder)
    vectors = await model.embed(["clean the apple", "Clean  the apples", "zzz qqq", "", " \n"])
    assert vectors.shape == (5, 64)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 0], atol=1e-6)
    assert vectors[0] @ vectors[1] > 0.9 > 0.3 > vectors[0] @ vectors[2]
    assert (await model.embed([])).shape == (0, 64)
    assert CharEmbedder(8).fingerprint != model.fingerprint
    with pytest.raises(ValueError, match="dimensions"):
        CharEmbedder(0)


async def test_character_embeddings_are_the_same_in_every_process():
    code = (
        "import asyncio; from memp.testing.chat import CharEmbedder\n"
        "print(asyncio.run(CharEmbedder(16).embed(['heat the mug'])).tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (await CharEmbedder(16).embed(["heat the mug"])).tobytes().hex()


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("世界", 2)])
def test_tokens(text, tokens):
    assert count_tokens(text) == tokens

import subprocess
import sys

import pytest

from memp.errors import BadRequest, UnknownName
from memp.models.anthropic import AnthropicChat
from memp.models.base import Embedder
from memp.models.openai import OpenAIChat, OpenAIEmbedder
from memp.models.registry import chat_model, embedder
from memp.testing.chat import ScriptedChat


def test_names_become_models():
    model = chat_model("openai:qwen2.5:72b", base_url="http://127.0.0.1:8000/v1", price=(1, 2))
    assert isinstance(model, OpenAIChat)
    assert model.name == "openai:qwen2.5:72b"
    assert isinstance(chat_model("anthropic:claude-x"), AnthropicChat)
    vectors = embedder("openai:text-embedding-3-small", dimensions=256)
    assert isinstance(vectors, OpenAIEmbedder)
    assert vectors.dimensions == 256


def test_the_bundled_embedder_is_the_default():
    pytest.importorskip("memp.models.static", reason="the bundled table is not built yet")
    assert isinstance(embedder(), Embedder)
    assert embedder("static").fingerprint == embedder().fingerprint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("opnai:gpt-4o", "unknown provider of chat models 'opnai'. Did you mean openai"),
        ("gpt-4o", r"it is written PROVIDER:MODEL.*openai:gpt-4o"),
        ("openai", r"it is written PROVIDER:MODEL.*openai:MODEL"),
        ("openai:", r"it is written PROVIDER:MODEL.*openai:MODEL"),
        ("", "it is written PROVIDER:MODEL"),
        (":", "it is written PROVIDER:MODEL"),
        ("zzz:x", "Known: anthropic, openai"),
    ],
)
def test_unknown_names_are_explained(name, words):
    with pytest.raises(UnknownName, match=words):
        chat_model(name)


@pytest.mark.parametrize("name", ["statc", "openai", "openai:", "anthropic:x"])
def test_unknown_embedders(name):
    with pytest.raises(UnknownName, match=r"static|openai:MODEL"):
        embedder(name)


def test_other_providers_can_be_added():
    made = chat_model("sim:novice", others={"sim": lambda name: ScriptedChat([], name=f"sim:{name}")})
    assert made.name == "sim:novice"
    with pytest.raises(UnknownName, match="Did you mean sim"):
        chat_model("simm:novice", others={"sim": lambda name: ScriptedChat([])})


def test_a_wrong_address_is_refused_at_once():
    with pytest.raises(BadRequest, match="localhost:8000"):
        chat_model("openai:x", base_url="localhost:8000/v1")


def test_nothing_heavy_is_imported_before_the_first_request():
    code = (
        "import sys; from memp.models.registry import chat_model, embedder\n"
        "chat_model('openai:a', api_key='k'); chat_model('anthropic:b', api_key='k'); embedder('openai:c')\n"
        "print([m for m in ('openai', 'anthropic', 'httpx2', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

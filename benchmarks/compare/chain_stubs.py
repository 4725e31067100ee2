"""The embedder and the model as mem0 and LangChain want them."""

import json
from typing import Any
from uuid import uuid4

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from stubs import embedder


class Embedder(Embeddings):
    """For mem0 and LangChain."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [vector.tolist() for vector in embedder().encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Told(BaseChatModel):
    """A model that says at once what it was told to have understood."""

    said: str = ""

    @property
    def _llm_type(self) -> str:
        return "told"

    def _reply(self, tools: list[dict[str, Any]]) -> AIMessage:
        return AIMessage(json.dumps({"memory": [{"id": "0", "text": self.said}]}))

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._reply(kwargs.get("tools", [])))])


class ToldByTool(Told):
    """The same, by calling the tool `Memory` that LangMem gives it."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

    def _reply(self, tools: list[dict[str, Any]]) -> AIMessage:
        names = [tool["function"]["name"] for tool in tools]
        if "Memory" not in names:
            return AIMessage("done")
        return AIMessage("", tool_calls=[{"name": "Memory", "args": {"content": self.said}, "id": str(uuid4())}])


def mem0_model() -> Told:
    """For mem0."""
    return Told()


def langmem_model() -> ToldByTool:
    """For LangMem."""
    return ToldByTool()

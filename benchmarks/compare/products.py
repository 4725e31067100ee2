"""memp and other memories behind one face, each used as its documentation says.

All of them get the same texts, the same embedder (memp's bundled static table) and the same model, which answers at
once with what it is told to. A place is a folder of the product's own, a database of its own, or a Chroma server.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import numpy as np
from stubs import chroma_function, embedder

from memp import Conflict, ProceduralMemory, Step, Trajectory
from memp.models.static import DIMENSIONS
from memp.records import Author, Content, Revision, Script
from memp.stores.base import Write
from memp.stores.connect import connect
from memp.testing.chat import ScriptedChat

USER = "user"
"""Whose memories are searched; there are others in every store."""
QUIET = {
    "MEM0_TELEMETRY": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


class Place(NamedTuple):
    """Where a product may keep its memories."""

    folder: Path
    url: str
    port: int


class Product(Protocol):
    """What is measured."""

    def fill(self, user: str, texts: Sequence[str]) -> None:
        """Many memories, the fastest way the product has."""

    def add(self, text: str) -> None:
        """One memory of USER that the next search can find."""

    def learn(self, text: str) -> None:
        """Let the model make a memory of what was said or done."""

    def search(self, text: str) -> list[str]:
        """The ten nearest memories of USER."""

    def name(self, text: str) -> str:
        """What the nearest one is called from then on, whatever it will say."""

    def served(self, name: str) -> Any:
        """What it takes to revise or credit it."""

    def revise(self, served: Any, note: str) -> None:
        """Change what it says."""

    def credit(self, served: Any) -> None:
        """Count that it was of use once."""

    def counted(self, name: str) -> int:
        """How often it was of use."""

    def notes(self, name: str) -> set[str]:
        """The changes that it went through."""

    def texts(self) -> set[str]:
        """All memories of USER."""

    def close(self) -> None:
        """Let go of it."""


def vectors(texts: Sequence[str]) -> list[list[float]]:
    """The embedder of everybody."""
    return [vector.tolist() for vector in embedder().encode(texts)]


class Memp:
    """A memory is what was done for a task. Added: recorded and built from (`update`), by rules or the model."""

    def __init__(self, store: str | Path) -> None:
        self._store = str(store)
        self._memory = ProceduralMemory(self._store, namespace=USER, k=10, floor=-1)
        reply = '{"goal": "do it", "steps": ["go there", "do it"], "applies_when": [], "pitfalls": []}'
        self._learning = ProceduralMemory(
            self._store, namespace=USER, model=ScriptedChat(lambda _: reply), build="script"
        )

    def fill(self, user: str, texts: Sequence[str]) -> None:
        store = connect(self._store)
        for start in range(0, len(texts), 500):
            writes = [_write(f"p{start + n}", text) for n, text in enumerate(texts[start : start + 500])]
            store.write(user, writes, consume=None, receipt_id="")
        store.close()
        self._memory.retrieve("warm up", log=False)

    def add(self, text: str) -> None:
        self._memory.record(_played(text, 1.0))
        self._memory.update()  # another process's may have taken it meanwhile

    def learn(self, text: str) -> None:
        self._learning.record(_played(text, 1.0))
        assert self._learning.update().added

    def search(self, text: str) -> list[str]:
        return [served.procedure.revision.content.task for served in self._memory.retrieve(text).ranked]

    def name(self, text: str) -> str:
        return text  # the task, which stays

    def served(self, name: str) -> Any:
        return self._memory.retrieve(name, k=1)

    def revise(self, served: Any, note: str) -> None:
        """A revision by hand, which says why; repeated when another was first. Returns to the first of them."""
        id = served.ranked[0].procedure.id
        while True:
            try:
                if self._memory.get(id).revision.number == 1:
                    self._memory.retire(id, reason="so that there is something to return to")
                self._memory.undo(id, to=1, reason=note)
            except Conflict:
                continue
            return

    def credit(self, served: Any) -> None:
        self._memory.record(_played(served.task, 1.0), served)

    def counted(self, name: str) -> int:
        id = self.served(name).ranked[0].procedure.id
        return sum(times for _, times, _ in self._memory.history(id))

    def notes(self, name: str) -> set[str]:
        id = self.served(name).ranked[0].procedure.id
        return {revision.reason for revision, _, _ in self._memory.history(id)}

    def texts(self) -> set[str]:
        self._memory.update()  # what was recorded is there; what was killed before it was built from is built now
        return {procedure.revision.content.task for procedure in self._memory.procedures()}

    def close(self) -> None:
        self._memory.close()
        self._learning.close()


def _played(task: str, reward: float) -> Trajectory:
    return Trajectory(task=task, steps=[Step(action=task, observation="done")], reward=reward)


def _write(id: str, text: str) -> Write:
    content = Content(task=text, script=Script(goal=text, steps=(text,)))
    author, at = Author(policy="benchmark"), datetime(2026, 1, 1, tzinfo=UTC)
    revision = Revision(procedure_id=id, number=1, content=content, reason="built", author=author, at=at, tokens=30)
    return Write(revision=revision, origin=id.encode())


class Mem0:
    """`Memory`: add(infer=False), search, get, update; learn is add(infer=True)."""

    def __init__(self, place: Place, vector_store: dict[str, Any]) -> None:
        from chain_stubs import Embedder, mem0_model
        from mem0 import Memory

        place.folder.mkdir(parents=True, exist_ok=True)
        self._model = mem0_model()
        self._memory = Memory.from_config(
            {
                "vector_store": vector_store,
                "embedder": {
                    "provider": "langchain",
                    "config": {"model": Embedder(), "embedding_dims": DIMENSIONS},
                },
                "llm": {"provider": "langchain", "config": {"model": self._model}},
                "history_db_path": str(place.folder / "history.db"),
            }
        )

    def fill(self, user: str, texts: Sequence[str]) -> None:
        # `add` takes one text at a time, with its history; so straight into the store below, with what `add` puts there
        at = datetime.now(UTC).isoformat()
        for start in range(0, len(texts), 500):
            part = list(texts[start : start + 500])
            common = {"user_id": user, "role": "user", "created_at": at, "updated_at": at}
            payloads = [
                {**common, "data": text, "text_lemmatized": text, "hash": md5(text.encode()).hexdigest()}
                for text in part
            ]
            ids = [str(uuid4()) for _ in part]
            self._memory.vector_store.insert(vectors=vectors(part), payloads=payloads, ids=ids)

    def add(self, text: str) -> None:
        assert self._memory.add(text, user_id=USER, infer=False)["results"]

    def learn(self, text: str) -> None:
        self._model.said = text
        assert self._memory.add(text, user_id=USER)["results"]

    def search(self, text: str) -> list[str]:
        found = self._memory.search(text, filters={"user_id": USER}, top_k=10)
        return [hit["memory"] for hit in found["results"]]

    def name(self, text: str) -> str:
        return self._memory.search(text, filters={"user_id": USER}, top_k=1)["results"][0]["id"]

    def served(self, name: str) -> Any:
        return name

    def revise(self, served: Any, note: str) -> None:
        now = self._memory.get(served)["memory"]
        self._memory.update(served, f"{now}\n{note}")

    def credit(self, served: Any) -> None:
        used = (self._memory.get(served).get("metadata") or {}).get("used", 0)
        self._memory.update(served, metadata={"used": used + 1})

    def counted(self, name: str) -> int:
        return int((self._memory.get(name).get("metadata") or {}).get("used", 0))

    def notes(self, name: str) -> set[str]:
        return set(self._memory.get(name)["memory"].split("\n")[1:])

    def texts(self) -> set[str]:
        found = self._memory.get_all(filters={"user_id": USER}, top_k=1_000_000)
        return {hit["memory"].split("\n")[0] for hit in found["results"]}

    def close(self) -> None:
        self._memory.close()
        if hasattr(client := self._memory.vector_store, "client"):
            client.client.close()


class LangMem:
    """LangMem's tools over a store of LangGraph's with its vector index; learn is its store manager."""

    def __init__(self, store: Any, exit: ExitStack) -> None:
        from chain_stubs import langmem_model
        from langmem import create_manage_memory_tool, create_memory_store_manager, create_search_memory_tool

        self._store, self._exit, self._model = store, exit, langmem_model()
        self._space = ("memories", USER)
        self._manage = create_manage_memory_tool(self._space, store=store)
        self._find = create_search_memory_tool(self._space, store=store, response_format="content_and_artifact")
        # Its memories are of another form than those of the tools, so it has a space of its own, empty at first.
        self._manager = create_memory_store_manager(self._model, namespace=("managed", USER), store=store)

    def fill(self, user: str, texts: Sequence[str]) -> None:
        from langgraph.store.base import PutOp

        for start in range(0, len(texts), 500):
            part = texts[start : start + 500]
            keys = (f"00000000-0000-4000-8000-{start + n:012d}" for n in range(len(part)))
            puts = [PutOp(("memories", user), key, {"content": t}) for key, t in zip(keys, part, strict=True)]
            self._store.batch(puts)

    def add(self, text: str) -> None:
        assert "create" in self._manage.invoke({"content": text})

    def learn(self, text: str) -> None:
        self._model.said = text
        assert self._manager.invoke({"messages": [{"role": "user", "content": text}]})

    def search(self, text: str) -> list[str]:
        return [item.value["content"] for item in self._found(text, 10)]

    def name(self, text: str) -> str:
        return self._found(text, 1)[0].key

    def served(self, name: str) -> Any:
        return name

    def revise(self, served: Any, note: str) -> None:
        now = self._store.get(self._space, served).value["content"]
        self._manage.invoke({"action": "update", "id": served, "content": f"{now}\n{note}"})

    def credit(self, served: Any) -> None:
        # beside the memory, for the tool that revises a memory writes it anew
        used = self._store.get(("used", USER), served)
        self._store.put(("used", USER), served, {"times": used.value["times"] + 1 if used else 1}, index=False)

    def counted(self, name: str) -> int:
        used = self._store.get(("used", USER), name)
        return int(used.value["times"]) if used else 0

    def notes(self, name: str) -> set[str]:
        return set(self._store.get(self._space, name).value["content"].split("\n")[1:])

    def texts(self) -> set[str]:
        return {item.value["content"].split("\n")[0] for item in self._store.search(self._space, limit=1_000_000)}

    def close(self) -> None:
        self._exit.close()

    def _found(self, text: str, k: int) -> list[Any]:
        call = {"name": "search_memory", "args": {"query": text, "limit": k}, "id": "1", "type": "tool_call"}
        return list(self._find.invoke(call).artifact)


class Chroma:
    """One collection, cosine, filtered by a field of the metadata. It makes no memories by a model."""

    learn = None

    def __init__(self, client: Any) -> None:
        self._client, self._next = client, os.urandom(6).hex()
        self._number = 0
        self._all = client.get_or_create_collection(
            "memories", embedding_function=chroma_function(), configuration={"hnsw": {"space": "cosine"}}
        )

    def fill(self, user: str, texts: Sequence[str]) -> None:
        for start in range(0, len(texts), 500):
            part = list(texts[start : start + 500])
            ids = [f"{user}-{start + n}" for n in range(len(part))]
            self._all.add(ids=ids, documents=part, metadatas=[{"user": user, "used": 0}] * len(part))

    def add(self, text: str) -> None:
        self._number += 1
        self._all.add(ids=[f"{self._next}-{self._number}"], documents=[text], metadatas=[{"user": USER, "used": 0}])

    def search(self, text: str) -> list[str]:
        return list(self._all.query(query_texts=[text], n_results=10, where={"user": USER})["documents"][0])

    def name(self, text: str) -> str:
        return self._all.query(query_texts=[text], n_results=1, where={"user": USER})["ids"][0][0]

    def served(self, name: str) -> Any:
        return name

    def revise(self, served: Any, note: str) -> None:
        now = self._all.get(ids=[served])["documents"][0]
        self._all.update(ids=[served], documents=[f"{now}\n{note}"])

    def credit(self, served: Any) -> None:
        used = self._all.get(ids=[served])["metadatas"][0]["used"]
        self._all.update(ids=[served], metadatas=[{"used": used + 1}])

    def counted(self, name: str) -> int:
        return int(self._all.get(ids=[name])["metadatas"][0]["used"])

    def notes(self, name: str) -> set[str]:
        return set(self._all.get(ids=[name])["documents"][0].split("\n")[1:])

    def texts(self) -> set[str]:
        return {text.split("\n")[0] for text in self._all.get(where={"user": USER})["documents"]}

    def close(self) -> None:
        if hasattr(self._client, "close"):
            self._client.close()


def _mem0_qdrant(place: Place) -> Mem0:
    where = {"path": str(place.folder / "qdrant"), "embedding_model_dims": DIMENSIONS}
    return Mem0(place, {"provider": "qdrant", "config": where})


def _mem0_postgres(place: Place) -> Mem0:
    where = {"connection_string": place.url, "embedding_model_dims": DIMENSIONS}
    return Mem0(place, {"provider": "pgvector", "config": where})


def _indexed() -> Any:
    return {"dims": DIMENSIONS, "embed": vectors, "fields": ["content"]}


def _langmem_postgres(place: Place) -> LangMem:
    from langgraph.store.postgres import PostgresStore

    exit = ExitStack()
    store = exit.enter_context(PostgresStore.from_conn_string(place.url, index=_indexed()))
    store.setup()
    return LangMem(store, exit)


def _langmem_memory(_: Place) -> LangMem:
    from langgraph.store.memory import InMemoryStore

    return LangMem(InMemoryStore(index=_indexed()), ExitStack())


def _chroma_file(place: Place) -> Chroma:
    import chromadb
    from chromadb.config import Settings

    return Chroma(chromadb.PersistentClient(str(place.folder), Settings(anonymized_telemetry=False)))


def _chroma_server(place: Place) -> Chroma:
    import chromadb
    from chromadb.config import Settings

    return Chroma(chromadb.HttpClient("127.0.0.1", place.port, settings=Settings(anonymized_telemetry=False)))


def _memp_file(place: Place) -> Memp:
    place.folder.mkdir(parents=True, exist_ok=True)
    return Memp(place.folder / "memp.db")


OPEN: dict[str, Callable[[Place], Any]] = {
    "memp, SQLite": _memp_file,
    "memp, PostgreSQL": lambda place: Memp(place.url),
    "mem0, Qdrant in a folder (its default)": _mem0_qdrant,
    "mem0, PostgreSQL": _mem0_postgres,
    "LangMem, InMemoryStore": _langmem_memory,
    "LangMem, PostgresStore": _langmem_postgres,
    "Chroma, PersistentClient": _chroma_file,
    "Chroma, server": _chroma_server,
}
"""How each product is opened."""


def exact(query: np.ndarray, texts: Sequence[str], matrix: np.ndarray, k: int = 10) -> set[str]:
    """The texts that are at least as near as the k-th nearest."""
    scores = matrix @ query
    return {texts[n] for n in np.flatnonzero(scores >= np.partition(scores, -k)[-k] - 1e-5)}

"""The one embedder, and as Chroma wants it."""

from functools import cache
from typing import Any

from memp.models.static import StaticEmbedder


@cache
def embedder() -> StaticEmbedder:
    """memp's bundled table: 128 dimensions, no network."""
    return StaticEmbedder()


def chroma_function() -> Any:
    """For Chroma."""
    import numpy as np
    from chromadb.api.types import Documents, EmbeddingFunction

    class Function(EmbeddingFunction[Documents]):
        def __init__(self) -> None:
            pass

        def __call__(self, input: Documents) -> Any:
            return list(np.asarray(embedder().encode(list(input)), dtype=np.float32))

        @staticmethod
        def name() -> str:
            return "memp-static"

        def get_config(self) -> dict[str, Any]:
            return {}

        @staticmethod
        def build_from_config(config: dict[str, Any]) -> "Function":
            return Function()

    return Function()

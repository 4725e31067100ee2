"""The bundled embedder: contract of `Embedder`, determinism, odd texts, rank sanity, the table's own integrity."""

import asyncio
import hashlib
import time
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memp.errors import ModelError
from memp.models import static
from memp.models.base import Embedder
from memp.models.static import DIMENSIONS, MAX_TOKENS, TABLE_HASH, StaticEmbedder, bundled_table, parse_table

TEXTS = ["put a clean mug in coffeemachine.", "", "apple 1", "日本語のテキスト", "  \x00\x07 ", "Déjà vu!"]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


def test_is_an_embedder_and_says_what_it_is(embedder: StaticEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert embedder.dimensions == DIMENSIONS
    assert embedder.fingerprint == f"static-minilm-l6/1:{DIMENSIONS}:{TABLE_HASH}"
    assert StaticEmbedder().fingerprint == embedder.fingerprint


def test_the_constants_are_those_of_the_committed_table() -> None:
    content = (files("memp.models") / "data" / "static-minilm-l6.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest()[:16] == TABLE_HASH
    assert len(content) < 6_000_000
    table = bundled_table()
    assert table.digest == TABLE_HASH
    assert table.vectors.shape == (len(table.vocabulary), DIMENSIONS)
    assert not table.vectors[table.vocabulary["[UNK]"]].any()
    assert not [token for token in table.vocabulary if token.startswith(("[unused", "[CLS]"))]


def test_rows_have_length_one_or_zero(embedder: StaticEmbedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 0, 1, 1, 0, 1], abs=1e-6)


def test_no_texts_give_no_rows(embedder: StaticEmbedder) -> None:
    assert embedder.encode([]).shape == (0, DIMENSIONS)


def test_one_string_is_refused_rather_than_read_letter_by_letter(embedder: StaticEmbedder) -> None:
    with pytest.raises(TypeError, match=r"\[text\]"):
        embedder.encode("mug")


def test_embed_never_suspends(embedder: StaticEmbedder) -> None:
    coroutine = embedder.embed(TEXTS)
    with pytest.raises(StopIteration) as finished:
        coroutine.send(None)
    np.testing.assert_array_equal(finished.value.value, embedder.encode(TEXTS))
    asyncio.run(embedder.close())


@given(st.lists(st.text(max_size=30), max_size=6))
@settings(max_examples=40, deadline=None)
def test_a_row_does_not_depend_on_its_batch(texts: list[str]) -> None:
    embedder = StaticEmbedder()
    together = embedder.encode(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(row, embedder.encode([text])[0])


def test_a_big_batch_is_cut_without_a_seam(embedder: StaticEmbedder) -> None:
    texts = [f"take apple {number} from shelf {number % 7} and then go on" for number in range(3_000)]
    together = embedder.encode(texts)
    for row in (0, 1_400, 1_700, 2_999):
        np.testing.assert_array_equal(together[row], embedder.encode([texts[row]])[0])


def test_only_the_first_tokens_count_and_a_megabyte_is_quick(embedder: StaticEmbedder) -> None:
    head = "mug " * MAX_TOKENS
    began = time.perf_counter()
    vectors = embedder.encode([head, head + "plane " * 170_000, "x" * 1_000_000, "é" * 1_000_000])
    assert time.perf_counter() - began < 1.0
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not vectors[2].any()


@pytest.mark.parametrize(
    ("text", "paraphrase", "other"),
    [
        (
            "put a clean mug in coffeemachine.",
            "clean some mug and put it in coffeemachine.",
            "put a hot potato in fridge.",
        ),
        ("heat some egg and put it in diningtable.", "put a hot egg in diningtable.", "look at cd under the desklamp."),
        (
            "examine the alarmclock with the desklamp.",
            "look at alarmclock under the desklamp.",
            "put some cup in sinkbasin.",
        ),
        ("plan a 3-day trip from Denver to Miami", "a three day holiday in Miami, leaving Denver", "reset my password"),
        ("How do I reset my password?", "I forgot my password and cannot log in", "What is the weather in Paris?"),
        ("The children are playing in the park", "kids play outside", "the central bank raised interest rates"),
        ("buy a cheap red dress", "purchase an inexpensive red gown", "sort a list of numbers in Python"),
    ],
)
def test_a_paraphrase_is_nearer_than_another_task(text: str, paraphrase: str, other: str) -> None:
    query, near, far = StaticEmbedder().encode([text, paraphrase, other])
    assert query @ near > query @ far + 0.1


def test_an_instance_number_changes_little(embedder: StaticEmbedder) -> None:
    first, second, other = embedder.encode(["take apple 1 from shelf 2", "take apple 3 from shelf 1", "open the safe"])
    assert first @ second > 0.8 > first @ other


def test_a_damaged_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled_table.cache_clear()
    monkeypatch.setattr(static, "TABLE_HASH", "0" * 16)
    with pytest.raises(ModelError, match="reinstall"):
        StaticEmbedder().encode(["mug"])
    monkeypatch.undo()
    bundled_table.cache_clear()


def test_a_table_of_ones_own(tmp_path: object) -> None:
    from io import BytesIO

    file = BytesIO()
    rows = np.array([[0, 0], [127, 0], [0, 127]], np.int8)
    tokens = np.frombuffer(b"[UNK]\nmug\npan", np.uint8)
    np.savez(file, rows=rows, scales=np.ones(3, np.float16), tokens=tokens)
    own = StaticEmbedder(parse_table(file.getvalue()))
    assert own.dimensions == 2
    assert own.fingerprint != StaticEmbedder().fingerprint
    np.testing.assert_allclose(own.encode(["mug pan", "pan fork"]), [[0.5**0.5, 0.5**0.5], [0, 1]], rtol=1e-6)


def test_the_shared_table_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        bundled_table().vectors[0, 0] = 1.0


def test_loading_and_one_sentence_are_quick(embedder: StaticEmbedder) -> None:
    """Bounds ten and more times what benchmarks/static_embedder.py measures, for slow and busy machines."""
    bundled_table.cache_clear()
    began = time.perf_counter()
    bundled_table()
    assert time.perf_counter() - began < 1.0
    embedder.encode(["put a clean mug in the coffee machine"])
    began = time.perf_counter()
    for _ in range(200):
        embedder.encode(["put a clean mug in the coffee machine"])
    assert (time.perf_counter() - began) / 200 < 2e-3

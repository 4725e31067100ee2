"""WordPiece in Python against what the reference tokenizer made of the same texts (wordpiece_golden.json)."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memp.models.static import bundled_table
from memp.models.wordpiece import WordPiece

GOLDEN = json.loads((Path(__file__).parent / "wordpiece_golden.json").read_text())


def tokens(text: str) -> list[str]:
    vocabulary = bundled_table().vocabulary
    names = {row: token for token, row in vocabulary.items()}
    return [names[row] for row in WordPiece(vocabulary).ids(text)]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: ascii(case["text"])[:40])
def test_equals_the_reference_tokenizer(case: dict[str, object]) -> None:
    assert tokens(str(case["text"])) == case["tokens"]


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_rows_of_the_table(text: str) -> None:
    table = bundled_table()
    ids = WordPiece(table.vocabulary).ids(text)
    assert all(0 <= row < len(table.vectors) for row in ids)


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60))
@settings(max_examples=200, deadline=None)
def test_the_quick_path_for_ascii_agrees_with_the_general_one(text: str) -> None:
    wordpiece = WordPiece(bundled_table().vocabulary)
    general = wordpiece.ids(text + " é")
    accent = wordpiece.ids("é")
    assert wordpiece.ids(text) == general[: len(general) - len(accent)]


def test_a_word_met_before_splits_the_same() -> None:
    wordpiece = WordPiece({"[UNK]": 0, "mug": 1, "##s": 2})
    assert wordpiece.ids("mugs mug cup") == [1, 2, 1, 0]
    assert wordpiece.ids("mugs mug cup") == [1, 2, 1, 0]

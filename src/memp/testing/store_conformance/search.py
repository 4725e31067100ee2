"""Rules of `search`: every word must be there, in the task or in the script."""

from memp.testing.store_conformance.expect import same
from memp.testing.store_conformance.harness import Harness
from memp.testing.store_conformance.kit import NS, ODD, add, content, revise
from memp.testing.store_conformance.rule import rule

NOTHING = ("", "   ", "\0", "\n", "!!!", "^", "(((", "\\", "{}", "+", ";", "%", '"', '""', "'", "*", "-")
ANYTHING = (
    *("mug' OR 1=1 --", "NEAR(", "mug*", "-mug", "task:mug", "AND", "mug AND", "unrelated & mug", "a\0b", "\x1b[31m"),
    *("unrelated | mug", "unrelated <-> mug", "mug:*", "🍎", "x" * 100_000, "col : x", "\u202e", "%mug%"),
)


def _found(h: Harness, words: str, limit: int = 5) -> list[str]:
    return [p.id for p in h.store.search(NS, words, limit)]


@rule()
def search_looks_into_task_and_script(h: Harness) -> None:
    """`search` finds procedures that hold every word, in any order and case, in the task or the script's goal, steps
    and pitfalls.
    """
    add(h.store, "p", content=content("put a mug on the desk", "open the fridge"))
    add(h.store, "q", content=content("heat an egg", "go to the microwave"))
    script = content("x", "one").model_dump()
    script["script"]["pitfalls"] = ("mind the spider",)
    add(h.store, "r", content=script)
    same("a word of the task", _found(h, "mug"), ["p"])
    same("a word of a step", _found(h, "MICROWAVE"), ["q"])
    same("a word of a pitfall", _found(h, "spider"), ["r"])
    same("words of both", _found(h, "fridge desk"), ["p"])
    same("words of the goal", sorted(_found(h, "goal")), ["p", "q", "r"])
    same("words of two procedures", _found(h, "mug egg"), [])
    same("part of a word", _found(h, "microw"), [])


@rule()
def search_gives_the_best_first(h: Harness) -> None:
    """What holds the words more often comes first, and no more come than were asked for."""
    add(h.store, "once", content=content("put a mug on the desk", "open the fridge", "close it"))
    add(h.store, "often", content=content("fridge", "fridge", "fridge"))
    same("best first", _found(h, "fridge"), ["often", "once"])
    same("limit", _found(h, "fridge", 1), ["often"])


@rule()
def search_sees_the_current_revision(h: Harness) -> None:
    """What only an older revision said is not found."""
    add(h.store, "p", content=content("put a mug on the desk"))
    revise(h.store, "p", 2, content=content("put a plate on the desk"))
    same("old word", _found(h, "mug"), [])
    same("new word", [p.revision.number for p in h.store.search(NS, "plate", 5)], [2])


@rule()
def search_takes_anything(h: Harness) -> None:
    """Whatever the words are, nothing in them is an operator: no error, and what is not there is not found."""
    add(h.store, "p", content=content("unrelated", "nothing of it"))
    for words in ANYTHING:
        same(f"search for {words[:40]!r}", _found(h, words), [])


@rule()
def search_for_nothing_finds_nothing(h: Harness) -> None:
    """Words without a letter or digit find nothing."""
    add(h.store, "p")
    for words in NOTHING:
        same(f"search for {words!r}", _found(h, words), [])


@rule()
def search_finds_odd_words(h: Harness) -> None:
    """Quotes and punctuation around and inside words, and words of any script, are found."""
    add(h.store, "p", content=content('say "hello" to O\'Neil 梨 col:x über', "straße"))
    add(h.store, "odd", content=content(ODD[0], *ODD[1:]))
    for words in ('"hello"', "O'Neil", "梨", "col:x", "!!! hello", "ÜBER", "straße"):
        same(f"search for {words!r}", _found(h, words), ["p"])
    same("beside control characters", _found(h, "bell"), ["odd"])


@rule("stemming")
def search_finds_other_forms(h: Harness) -> None:
    """Other forms of an English word are found."""
    add(h.store, "p", content=content("put a mug on the desk", "open the fridge"))
    same("mugs", _found(h, "mugs"), ["p"])
    same("opening", _found(h, "opening"), ["p"])


@rule("accents")
def search_does_not_mind_accents(h: Harness) -> None:
    """Words are found with and without their accents."""
    add(h.store, "p", content=content("a naïve question"))
    add(h.store, "q", content=content("a resume"))
    same("without", _found(h, "naive"), ["p"])
    same("with", _found(h, "RÉSUMÉ"), ["q"])

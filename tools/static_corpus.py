"""General English for distilling the static embedder: dictionary glosses, documentation, templated tasks.

Nothing of a benchmark is read here. The sources are Debian packages, unpacked without installing them:

    apt-get download wordnet-base fortunes fortunes-min
    for p in *.deb; do dpkg-deb -x $p CORPUS; done

WordNet 3.0 gives glosses, example sentences and words by field (artifacts, food, places ...), the manual pages
and Python modules of the machine give documentation, and templates give imperative task sentences over the whole
of that vocabulary. `fortunes` is never trained on: it is the general-English test set.
"""

import ast
import gzip
import random
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

FIELDS = {6: "thing", 13: "food", 15: "place", 5: "animal", 20: "plant", 18: "person", 8: "part", 27: "stuff"}
"""WordNet's lexicographer files (lexnames(5)) that fill the slots of the templates."""

MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
TASKS = (
    "{verb} the {thing}",
    "{verb} a {adj} {thing}",
    "{verb} the {thing} with the {thing}",
    "put the {thing} in the {thing}",
    "place a {thing} on the {thing}",
    "put two {thing}s on the {thing}",
    "put some {food} on the {thing}",
    "find two {food}s and leave them in the {thing}",
    "bring the {food} to the {place}",
    "take the {food} out of the {thing}",
    "take {thing} {n} from {thing} {n}",
    "go to {thing} {n}",
    "open {thing} {n}",
    "wash the {food} and put it in the {thing}",
    "clean a {thing} and put it away in the {thing}",
    "warm up the {food} and put it in the {thing}",
    "heat the {food} in the {thing}",
    "chill some {food} in the {thing}",
    "put a cold {food} in the {thing}",
    "a hot {food} belongs in the {thing}",
    "{verb} the {food}, then {verb} the {thing}",
    "examine the {thing} by the light of the {thing}",
    "look at the {thing} under the {thing}",
    "find the {thing} and {verb} it",
    "where is the {thing}?",
    "I need a {adj} {thing} for my {person}",
    "show me how to {verb} a {thing}",
    "write a report about the {thing} in {place}",
    "buy {n} {food}s and a {thing} for less than ${money}",
    "order a {adj} {thing}, size {n}, price lower than {money} dollars",
    "send the {person} a message about the {thing}",
    "fix the {thing} that does not {verb}",
    "search the web for the {adj} {animal}",
    "ask the {person} where the {animal} is",
    "water the {plant} in the {thing}",
    "book a {thing} in {place} for {n} people on {month} {n}",
    "find a flight from {place} to {place} on {month} {n}",
    "plan {n} days in {place} from {month} {n} to {month} {n}, {year}, for under ${money}",
    "we are {n} people who want to see {place}, starting in {place}; our budget is ${money}",
    "a {n} day holiday through {place} and {place} with {adj} food and no {thing}",
    "the {person} and the {animal} went to {place}",
    "add a {thing} column to the table and {verb} the rows",
    "my {part} hurts when I {verb} the {thing}",
    "mix the {stuff} with {food}",
    "{thing}{thing}",
    "{thing} {thing}",
    "{adj} {thing}",
    "put the {thing}{thing} next to the {thing}",
    "{verb} the {adj}{thing} on the {thing}{thing}",
)


class WordNet:
    """Sentences and words of WordNet 3.0 in `folder` (which holds data.noun and its like)."""

    def __init__(self, folder: Path, common: dict[str, int]) -> None:
        self.sentences: list[str] = []
        self.words: dict[str, list[str]] = {slot: [] for slot in [*FIELDS.values(), "verb", "adj"]}
        for part in ("noun", "verb", "adj", "adv"):
            for line in (folder / f"data.{part}").read_text().splitlines():
                if not line.startswith(" "):
                    self._entry(part, line, common)
        for slot, words in self.words.items():  # frequent words first; the WordPiece vocabulary is in that order
            self.words[slot] = sorted(set(words), key=lambda word: (common.get(word.lower(), 30_000), word))

    def _entry(self, part: str, line: str, common: dict[str, int]) -> None:
        head, _, gloss = line.partition("|")
        fields = head.split()
        lemmas = [re.sub(r"\(.*\)", "", word).replace("_", " ") for word in fields[4 : 4 + 2 * int(fields[3], 16) : 2]]
        definition = gloss.split(';"')[0].split('; "')[0].strip()
        self.sentences += [definition, f"{', '.join(lemmas[:3])}: {definition}"]
        self.sentences += re.findall(r'"([^"]{10,})"', gloss)
        slot = FIELDS.get(int(fields[1])) if part == "noun" else part
        if slot in self.words:
            self.words[slot] += [lemma for lemma in lemmas if lemma.lower() in common or " " in lemma[:14]][:2]


def templated(words: dict[str, list[str]], vocabulary: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """`count` task sentences; one slot in five is filled from the whole vocabulary, in turn, so none is missed."""
    turn = iter(vocabulary * (1 + count * 2 // len(vocabulary)))

    def fill(match: re.Match[str]) -> str:
        slot = match.group(1)
        if slot == "n":
            return str(rng.randint(1, 30))
        if slot == "money":
            return rng.choice([str(rng.randint(5, 99)), f"{rng.randint(1, 19)},{rng.randint(0, 9)}00"])
        if slot == "month":
            return rng.choice(MONTHS)
        if slot == "year":
            return str(rng.randint(1990, 2030))
        if rng.random() < 0.2:
            return next(turn, "thing")
        return words[slot][int(len(words[slot]) * rng.random() ** 3)]

    for _ in range(count):
        text = re.sub(r"\{(\w+)\}", fill, rng.choice(TASKS))
        yield text if rng.random() < 0.7 else text[0].upper() + text[1:] + "."


def docstrings(roots: list[Path]) -> Iterator[str]:
    """Docstrings of the Python files under `roots`."""
    for root in roots:
        for file in sorted(root.rglob("*.py")):
            try:
                tree = ast.parse(file.read_text())
            except (SyntaxError, UnicodeDecodeError, ValueError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    yield ast.get_docstring(node) or ""


def manuals(folder: Path) -> Iterator[str]:
    """Manual pages (section 1, without gcloud's 15,000) stripped of their mark-up."""
    for file in sorted(folder.glob("*.[178].gz")):
        if not file.name.startswith("gcloud"):
            raw = gzip.decompress(file.read_bytes()).decode(errors="ignore")
            raw = re.sub(r"^\.(?:[BI]R?|RB|IR) ", "", raw, flags=re.M)
            yield re.sub(r"\\f.|\\&|\\", "", re.sub(r"^[.'].*$", ".", raw, flags=re.M))


def sentences(texts: Iterator[str]) -> Iterator[str]:
    """Whole prose sentences of 5 to 40 words."""
    for text in texts:
        for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n", text):
            clean = " ".join(sentence.split())
            letters = sum(letter.isalpha() or letter == " " for letter in clean)
            if 5 <= len(clean.split()) <= 40 and letters > 0.9 * len(clean):
                yield clean


def fortunes(folder: Path) -> list[str]:
    """The general-English test set: distinct sentences of the `fortunes` packages, never trained on."""
    files = (file for file in sorted(folder.iterdir()) if not file.suffix and file.is_file())
    texts = (text for file in files for text in file.read_text(errors="ignore").split("\n%\n"))
    return sorted(set(sentences(texts)))


def training_texts(corpus: Path, vocabulary: list[str], seed: int = 0) -> list[str]:
    """Distinct training texts, shuffled: about 450,000."""
    rng = random.Random(seed)
    common = {word: i for i, word in enumerate(vocabulary) if word.isalpha() and word.isascii() and len(word) > 2}
    wordnet = WordNet(corpus / "usr/share/wordnet", common)
    stdlib = [Path(ast.__file__).parent]
    documentation = [*sentences(docstrings(stdlib)), *sentences(manuals(Path("/usr/share/man/man1")))]
    tasks = list(templated(wordnet.words, sorted(common), 110_000, rng))
    prose = [*wordnet.sentences, *rng.sample(documentation, min(40_000, len(documentation)))]
    pairs = [" ".join(rng.sample(pool, rng.randint(2, 3))) for pool in (prose, tasks) for _ in range(8_000)]
    texts = sorted({*prose, *tasks, *pairs, *common})
    rng.shuffle(texts)
    return texts


if __name__ == "__main__":
    shown = training_texts(Path(sys.argv[1]), Path(sys.argv[2]).read_text().split("\n"))
    print(len(shown), *shown[:60], sep="\n")

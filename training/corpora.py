"""Readers for the openly licensed corpora that the English pipeline is trained from.

Each reader yields documents, a document being a list of `Sentence`. They know the file formats
(CoNLL columns, CoNLL-U, brat stand-off) and each corpus's label set, and nothing of spaCy.
Where a corpus leaves a kind of entity out, capitalised words that it does not mark are
reported as `unknown`, so that they do not teach the model that such words are no entities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Span = tuple[int, int, str]  # first word, behind the last word, label


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One tokenised sentence with what its corpus says about it.

    Attributes:
        words: its W tokens.
        spaces: W flags: white space follows. None where the corpus does not tell.
        entities: disjoint spans of words; None where the corpus has no entities.
        unknown: words that may be entities of a kind that the corpus does not mark.
        pos: W universal part-of-speech tags, or None.
    """

    words: Sequence[str]
    spaces: Sequence[bool] | None = None
    entities: Sequence[Span] | None = None
    unknown: frozenset[int] = frozenset()
    pos: Sequence[str] | None = None


Document = list[Sentence]
CROSSNER_DOMAINS = ("ai", "literature", "music", "politics", "science")
_CROSSNER = {
    "PER": {
        *("person", "politician", "scientist", "researcher"),
        *("writer", "musicalartist", "poet"),
    },
    "LOC": {"country", "location"},
    "ORG": {"organisation", "politicalparty", "university", "band", "conference"},
}
_LITBANK = {"PER": "PER", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC", "ORG": "ORG"}
_POSSESSIVES = {"The", "My", "His", "Her", "Our", "Your", "Their"}
_TITLES = {
    *("Mr.", "Mrs.", "Ms.", "Dr.", "Prof.", "Mr", "Mrs", "Ms", "Dr", "Prof"),
    *("Miss", "Master", "Madame", "Sir"),
}
# Capitalised, and an entity in none of the corpora; LitBank alone counts titles as names.
OUTSIDE = _TITLES | {
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
}


def iob_spans(tags: Sequence[str]) -> list[Span]:
    """Spans of IOB1, IOB2 or BIOES tags."""
    spans: list[Span] = []
    start, label = -1, ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        if start >= 0 and (prefix in "OBS" or kind != label):
            spans.append((start, i, label))
            start = -1
        if prefix != "O" and start < 0:
            start, label = i, kind
    return spans


def capitalised(words: Sequence[str], spans: Sequence[Span]) -> frozenset[int]:
    """Capitalised words outside `spans`, but for a sentence's first, titles and dates."""
    inside = {i for start, end, _ in spans for i in range(start, end)}
    return frozenset(
        i
        for i, word in enumerate(words)
        if i and i not in inside and len(word) > 1 and word[0].isupper() and word.isalpha()
        if word not in OUTSIDE
    )


def conll(
    path: Path, separator: str | None = None
) -> Iterator[list[tuple[list[str], list[str]]]]:
    """Documents of (words, tags) from columns: the word comes first and the tag last."""
    document: list[tuple[list[str], list[str]]] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), "-DOCSTART-"]:
        starts_document = line.startswith("-DOCSTART-")
        columns = line.split(separator)
        if starts_document or not line.strip():
            if words:
                document.append((words, tags))
                words, tags = [], []
            if starts_document and document:
                yield document
                document = []
        elif len(columns) > 1 and columns[0].strip():
            words.append(columns[0])
            tags.append(columns[-1])


def wikigold(root: Path) -> Iterator[Document]:
    """WikiGold: every kind of entity is marked (PER, ORG, LOC, MISC)."""
    path = root / "ner/juand-r/data/wikigold/CONLL-format/data/wikigold.conll.txt"
    for document in conll(path):
        yield [Sentence(words=words, entities=iob_spans(tags)) for words, tags in document]


def crossner(root: Path) -> Iterator[Sentence]:
    """CrossNER's five Wikipedia domains, its many labels mapped to PER, ORG, LOC and MISC."""
    kinds = {name: label for label, names in _CROSSNER.items() for name in names}
    for domain in CROSSNER_DOMAINS:
        for split in ("train", "dev", "test"):
            for document in conll(root / f"ner/CrossNER/ner_data/{domain}/{split}.txt", "\t"):
                for words, tags in document:
                    spans = [
                        (start, end, kinds.get(kind.lower(), "MISC"))
                        for start, end, kind in iob_spans(tags)
                    ]
                    named = [
                        (start, end, label)
                        for start, end, label in spans
                        if label != "MISC" or any(w[0].isupper() for w in words[start:end])
                    ]
                    yield Sentence(words=words, entities=named)


def broad_twitter(root: Path) -> Iterator[Sentence]:
    """The Broad Twitter Corpus: no MISC; user names, tags and links are left unknown."""
    folder = root / "ner/juand-r/data/BTC/CONLL-format/data"
    for path in sorted(folder.glob("*.conll")):
        for document in conll(path, "\t"):
            for words, tags in document:
                spans = [span for span in iob_spans(tags) if span[2] in ("PER", "ORG", "LOC")]
                inside = {i for start, end, _ in spans for i in range(start, end)}
                marks = {i for i, w in enumerate(words) if w[0] in "@#" or w.startswith("http")}
                unknown = capitalised(words, spans) | (marks - inside)
                yield Sentence(words=words, entities=spans, unknown=frozenset(unknown))


def litbank(root: Path) -> Iterator[Document]:
    """LitBank: the proper-name mentions of 100 novels' beginnings, one document each."""
    for annotation in sorted((root / "ner/litbank/coref/brat").glob("*.ann")):
        mentions = list(_brat_names(annotation))
        document, offset = [], 0
        for line in annotation.with_suffix(".txt").read_text(encoding="utf-8").split("\n"):
            here = [m for m in mentions if offset <= m[0] < offset + len(line)]
            sentence = _litbank_sentence(
                line, [(a - offset, b - offset, x) for a, b, x in here]
            )
            document += [sentence] if sentence.words else []
            offset += len(line) + 1
        yield document


def _brat_names(path: Path) -> Iterator[Span]:
    """(start, end, label) in characters for each proper name of a brat stand-off file."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("T"):
            kind, start, *_, end = line.split("\t")[1].split()
            label = _LITBANK.get(kind.removeprefix("PROP_"))
            if kind.startswith("PROP_") and label:
                yield int(start), int(end), label


def _litbank_sentence(line: str, mentions: Sequence[Span]) -> Sentence:
    words, starts, position = [], [], 0
    for word in line.split(" "):
        if word:
            words.append(word)
            starts.append(position)
        position += len(word) + 1
    spans = []
    for start, end, label in mentions:
        inside = [i for i, at in enumerate(starts) if start <= at < end]
        # A mention may be "His dear Captain Hagberd ,": keep the name alone.
        while inside and (
            not words[inside[0]][0].isupper() or words[inside[0]] in _POSSESSIVES | _TITLES
        ):
            inside.pop(0)
        while inside and not words[inside[-1]][0].isalnum():
            inside.pop()
        if inside and len(inside) <= 6:
            spans.append((inside[0], inside[-1] + 1, label))
    flat: list[Span] = []
    for span in sorted(set(spans), key=lambda s: (s[0], -s[1])):  # the outermost of a nest
        if not flat or span[0] >= flat[-1][1]:
            flat.append(span)
    return Sentence(words=words, entities=flat, unknown=capitalised(words, flat))

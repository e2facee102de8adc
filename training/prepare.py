"""Turns the corpora into spaCy training and test documents.

Text is put back together from tokens, so that the pipeline is trained and scored on running
text through spaCy's own tokenizer. Splits are fixed: every fourth WikiGold document, a tenth of
CrossNER (by the hash of the sentence) and of LitBank (by book), UNER EWT test and the whole of
UNER PUD are for tests alone. Takes about half a minute.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpora import Document, Sentence, broad_twitter, crossner, litbank, wikigold
from spacy.tokens import Doc, DocBin, Span
from spacy.util import filter_spans
from spacy.vocab import Vocab
from universal import english_web_treebank, universal_ner

ATTRIBUTES = ["ORTH", "SPACY", "POS", "ENT_IOB", "ENT_TYPE", "SENT_START"]
_NO_SPACE_BEFORE = {
    *(",", ".", ";", ":", "!", "?", ")", "]", "}", "%", "''", "’", "”", "…"),
    *("'s", "'S", "n't", "'re", "'ve", "'ll", "'d", "'m"),
}
_NO_SPACE_BEHIND = {"(", "[", "{", "$", "£", "€", "#", "``", "“", "‘"}
_SENTENCES_PER_DOCUMENT = 8


def guess_spaces(words: Iterable[str]) -> list[bool]:
    """For each word, whether a space would follow it in running text."""
    spaces: list[bool] = []
    quote_open = False
    for word in words:
        closes = word in _NO_SPACE_BEFORE or word == "/"
        closes |= word.startswith("'") and 1 < len(word) <= 3
        opens = word in _NO_SPACE_BEHIND or word == "/"
        if word == '"':
            closes, opens, quote_open = quote_open, not quote_open, not quote_open
        if closes and spaces:
            spaces[-1] = False
        spaces.append(not opens)
    return spaces


def to_doc(vocab: Vocab, sentences: Document) -> Doc:
    """One spaCy document. A lone sentence of a corpus of single sentences has no borders."""
    words: list[str] = []
    spaces: list[bool] = []
    starts: list[bool | int | None] = []
    pos: list[str] = []
    entities: list[tuple[int, int, str]] = []
    unknown: list[int] = []
    for sentence in sentences:
        base = len(words)
        words += sentence.words
        spaces += sentence.spaces or guess_spaces(sentence.words)
        spaces[-1] = True
        starts += [True] + [False] * (len(sentence.words) - 1)
        pos += sentence.pos or [""] * len(sentence.words)
        entities += [(a + base, b + base, label) for a, b, label in sentence.entities or ()]
        unknown += [i + base for i in sorted(sentence.unknown)]
    borders = starts if len(sentences) > 1 or sentences[0].pos else None
    doc = Doc(vocab, words=words, spaces=spaces, pos=pos, sent_starts=borders)
    if sentences[0].entities is not None:
        missing = [Span(doc, i, i + 1) for i in unknown]
        spans = filter_spans([Span(doc, a, b, label) for a, b, label in entities])
        doc.set_ents(spans, missing=missing or None, default="outside")
    return doc


def _pieces(document: Document) -> Iterator[Document]:
    for start in range(0, len(document), _SENTENCES_PER_DOCUMENT):
        yield document[start : start + _SENTENCES_PER_DOCUMENT]


def _share(sentence: Sentence) -> int:
    """A stable number in 0..99 for each sentence."""
    digest = hashlib.sha1(" ".join(sentence.words).encode()).hexdigest()
    return int(digest, 16) % 1000 % 100


def split_corpora(root: Path) -> dict[str, list[Document]]:
    """Every document of every corpus, by split. Names ending in ``_pos`` have no entities."""
    splits: dict[str, list[Document]] = defaultdict(list)

    def add(split: str, document: Document) -> None:
        splits[split] += _pieces(document)

    for number, document in enumerate(wikigold(root)):
        add("test_wikigold" if number % 4 == 3 else "train", document)
    for sentence in crossner(root):
        share = _share(sentence)
        name = "test_crossner" if share < 10 else "dev" if share < 15 else "train"
        add(name, [sentence])
    for number, document in enumerate(litbank(root)):
        name = "dev" if number % 20 == 3 else "train"
        add("test_litbank" if number % 10 == 7 else name, document)
    for treebank, split, name in (
        ("ewt", "dev", "train"),
        ("ewt", "test", "test_ewt"),
        ("pud", "test", "test_pud"),
    ):
        for document in universal_ner(root, treebank, split):
            add(name, document)
    for split in ("train", "dev", "test"):
        for document in english_web_treebank(root, split):
            add(f"{split}_pos", document)
    for number, sentence in enumerate(broad_twitter(root)):
        # Half of the tweets without a name would teach little but that tweets have none.
        if sentence.entities or number % 2:
            add("train_twitter", [sentence])
    return dict(splits)


def save(docs: Iterable[Doc], path: Path) -> None:
    DocBin(attrs=ATTRIBUTES, docs=docs).to_disk(path.with_suffix(".spacy"))


def load(path: Path, vocab: Vocab) -> list[Doc]:
    return list(DocBin().from_disk(path.with_suffix(".spacy")).get_docs(vocab))

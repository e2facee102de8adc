"""Readers for Universal Dependencies (parts of speech) and Universal NER (entities on them)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from corpora import OUTSIDE, Document, Sentence, Span, capitalised, iob_spans

_EWT = "ud/UD_English-EWT"


@dataclass(slots=True)
class _Block:
    """One sentence of a CoNLL-U file while it is read."""

    sentence_id: str = ""
    words: list[str] = field(default_factory=list)
    spaces: list[bool] = field(default_factory=list)
    pos: list[str] = field(default_factory=list)
    faithful: bool = True  # False: a contraction's words do not spell what the text says
    contraction: tuple[int, int, str, bool] | None = None

    def add(self, columns: list[str]) -> None:
        space = "SpaceAfter=No" not in columns[9]
        if "-" in columns[0]:
            first, last = map(int, columns[0].split("-"))
            self.contraction = (first, last, columns[1], space)
            return
        index = int(columns[0])
        self.words.append(columns[1])
        self.pos.append(columns[3])
        if self.contraction and self.contraction[0] <= index <= self.contraction[1]:
            first, last, surface, space_after = self.contraction
            space = space_after and index == last
            if index == last:
                self.faithful &= "".join(self.words[first - 1 :]) == surface
        self.spaces.append(space)


def conllu(path: Path) -> Iterator[list[tuple[str, Sentence]]]:
    """Documents of (sentence id, sentence); those that do not spell their text are left out."""
    document: list[tuple[str, Sentence]] = []
    block = _Block()
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("# newdoc") and document:
            yield document
            document = []
        elif line.startswith("# sent_id = "):
            block.sentence_id = line.removeprefix("# sent_id = ")
        elif not line:
            if block.words and block.faithful:
                sentence = Sentence(words=block.words, spaces=block.spaces, pos=block.pos)
                document.append((block.sentence_id, sentence))
            block = _Block()
        elif line[0] != "#" and "." not in (columns := line.split("\t"))[0]:
            block.add(columns)
    if document:
        yield document


def english_web_treebank(root: Path, split: str) -> Iterator[Document]:
    """UD English EWT. ``train`` is put together from the sources of its list of files."""
    folder = root / _EWT
    if split == "train":
        names = (folder / "not-to-release/file-lists/files.train").read_text().split()
        paths = [folder / "not-to-release/sources" / name for name in names]
    else:
        paths = [folder / f"en_ewt-ud-{split}.conllu"]
    for path in paths:
        for document in conllu(path):
            yield [sentence for _, sentence in document]


def universal_ner(root: Path, treebank: str, split: str) -> Iterator[Document]:
    """Universal NER (PER, ORG, LOC): `treebank` and `split` as in ``ewt``, ``dev``."""
    name = f"UD_English-{treebank.upper()}/en_{treebank}-ud-{split}"
    known = dict(pair for document in conllu(root / f"ud/{name}.conllu") for pair in document)
    tagged = root / "ner" / f"{name.replace('UD_', 'UNER_', 1)}.iob2"
    document: Document = []
    words: list[str] = []
    tags: list[str] = []
    sentence_id = ""
    for line in tagged.read_text(encoding="utf-8").split("\n"):
        if line.startswith("# newdoc") and document:
            yield document
            document = []
        elif line.startswith("# sent_id = "):
            sentence_id = line.removeprefix("# sent_id = ")
        elif line and line[0] != "#":
            columns = line.split("\t")
            words.append(columns[1])
            tags.append(columns[2])
        elif not line and words:
            spans = [span for span in iob_spans(tags) if span[2] in ("PER", "ORG", "LOC")]
            document.append(_with_entities(known.get(sentence_id), words, spans))
            words, tags = [], []
    if document:
        yield document


def _with_entities(known: Sentence | None, words: list[str], spans: list[Span]) -> Sentence:
    if known is None or known.words != words or known.pos is None:
        return Sentence(words=words, entities=spans, unknown=capitalised(words, spans))
    inside = {i for start, end, _ in spans for i in range(start, end)}
    names = {
        i
        for i, (word, tag) in enumerate(zip(words, known.pos, strict=True))
        if word not in OUTSIDE
        if tag == "PROPN" or (tag == "ADJ" and i and word[0].isupper())
    }
    return replace(known, entities=spans, unknown=frozenset(names - inside))

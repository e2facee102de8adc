"""Scores a pipeline, a capitalised-run rule and a gazetteer on the same held-out documents.

    python training/evaluate.py --documents build/en/documents PIPELINE [PIPELINE ...]

The gold documents' raw text goes in, so a pipeline's own tokenizer is scored with it. Entities
count when both borders are exact. Sets without MISC (PUD, EWT, LitBank) leave MISC out.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import spacy
from prepare import load
from spacy.lang.en.stop_words import STOP_WORDS
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

Entity = tuple[int, int, str]
Predict = Callable[[list[str]], list[set[Entity]]]
TESTS = {
    "wikigold": {"PER", "ORG", "LOC", "MISC"},
    "crossner": {"PER", "ORG", "LOC", "MISC"},
    "pud": {"PER", "ORG", "LOC"},
    "ewt": {"PER", "ORG", "LOC"},
    "litbank": {"PER", "ORG", "LOC"},
}
_CAPITALISED_RUN = re.compile(
    r"[^\W\d_a-z][\w.&'-]*[\w](?: (?:(?:of|de) )?[^\W\d_a-z][\w&-]*)*"
)


def f1(gold: Sequence[Set[Any]], predicted: Sequence[Set[Any]]) -> float:
    """Micro-averaged F1 in per cent, one decimal."""
    hits = sum(len(g & p) for g, p in zip(gold, predicted, strict=True))
    total = sum(map(len, gold)) + sum(map(len, predicted))
    return round(200 * hits / max(1, total), 1)


def covered(gold: Sequence[set[Entity]], predicted: Sequence[set[Entity]]) -> float:
    """Per cent of the characters of gold entities that some predicted entity covers."""
    hits = total = 0
    for g, p in zip(gold, predicted, strict=True):
        gold_characters = {i for start, end, _ in g for i in range(start, end)}
        hits += len(gold_characters & {i for start, end, _ in p for i in range(start, end)})
        total += len(gold_characters)
    return round(100 * hits / max(1, total), 1)


def entities(doc: Doc) -> set[Entity]:
    return {(e.start_char, e.end_char, e.label_) for e in doc.ents}


def entity_scores(predict: Predict, docs: Sequence[Doc], labels: set[str]) -> dict[str, float]:
    """F1 of spans with and without their label, and the share of covered characters."""
    gold = [{e for e in entities(doc) if e[2] in labels} for doc in docs]
    found = [
        {e for e in row if e[2] in labels or not e[2]}
        for row in predict([doc.text for doc in docs])
    ]
    return {
        "f1": f1(gold, found),
        "span_f1": f1([{e[:2] for e in g} for g in gold], [{e[:2] for e in p} for p in found]),
        "covered": covered(gold, found),
    }


def model(nlp: Language) -> Predict:
    return lambda texts: [entities(doc) for doc in nlp.pipe(texts, batch_size=64)]


def capitalised_runs(texts: list[str]) -> list[set[Entity]]:
    """The rule to beat: runs of capitalised words, without function words at their start."""
    rows: list[set[Entity]] = []
    for text in texts:
        rows.append(set())
        for match in _CAPITALISED_RUN.finditer(text):
            start, words = match.start(), match.group().split(" ")
            while words and words[0].lower() in STOP_WORDS:
                start += len(words.pop(0)) + 1
            if words and start < match.end():
                rows[-1].add((start, match.end(), ""))
    return rows


def gazetteer(documents: Path) -> Predict:
    """The capitalised names that the training documents have twice or more, looked up."""
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    docs = load(documents / "train", nlp.vocab)
    seen = Counter((e.text, e.label_) for doc in docs for e in doc.ents)
    names = sorted(pair for pair, count in seen.items() if count > 1 and pair[0][0].isupper())
    ruler.add_patterns([{"pattern": name, "label": label} for name, label in names])
    return model(nlp)


def word_scores(nlp: Language, docs: Sequence[Doc]) -> dict[str, float]:
    """Accuracy of parts of speech and F1 of sentence starts."""
    predicted = list(nlp.pipe([doc.text for doc in docs], batch_size=64))
    right = total = 0
    for found, gold in zip(predicted, docs, strict=True):
        tags = Example(found, gold).get_aligned("POS", as_string=True)
        pairs = [(t.pos_, tag) for t, tag in zip(found, tags, strict=True) if tag]
        right += sum(a == b for a, b in pairs)
        total += len(pairs)
    starts = [[{s.start_char for s in d.sents} for d in side] for side in (docs, predicted)]
    return {"pos": round(100 * right / total, 1), "sentence_f1": f1(*starts)}


def scores(nlp: Language, documents: Path) -> dict[str, dict[str, float]]:
    """Every score of one pipeline."""
    report = {
        name: entity_scores(model(nlp), load(documents / f"test_{name}", nlp.vocab), labels)
        for name, labels in TESTS.items()
    }
    return {**report, "words": word_scores(nlp, load(documents / "test_pos", nlp.vocab))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("pipelines", nargs="+")
    options = parser.parse_args()
    for name in options.pipelines:
        print(name, json.dumps(scores(spacy.load(name), options.documents)))
    vocab = spacy.blank("en").vocab
    for label, rule in (
        ("capitalised runs", capitalised_runs),
        ("gazetteer", gazetteer(options.documents)),
    ):
        report = {
            name: entity_scores(rule, load(options.documents / f"test_{name}", vocab), labels)
            for name, labels in TESTS.items()
        }
        print(label, json.dumps(report))


if __name__ == "__main__":
    main()

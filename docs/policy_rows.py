"""Three tiny annotated rows on which the examples of ``policies.md`` are really run.

No tokenizer and no network: every token is spelled out, with what an annotated shard set would
say of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from premask import Binding, Boundary, PaddedRows, Vocabulary
from premask.masking.collocations import collocation_table
from premask.stages.rank_sentences import row_ranks

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SENTINELS = tuple(f"<{k}>" for k in range(12))
POS = ("", "ADJ", "ADP", "ADV", "DET", "NOUN", "PRON", "PROPN", "PUNCT", "VERB")
LABELS = ("", "PERSON", "GPE")

# token, part of speech, steps to the root plus 1, salience; E/e opens/continues an entity,
# P/p a phrase.
_SENTENCE = """
Ada      PROPN  2 240 EP PERSON
Love     PROPN  2 240 ep PERSON
##lace   PROPN  2 240 ep PERSON
wrote    VERB   1 120
the      DET    3 10  P
first    ADJ    3 160 p
program  NOUN   2 220 p
for      ADP    3 20
a        DET    5 5   P
machine  NOUN   4 200 p
that     PRON   6 15
Charles  PROPN  6 235 EP PERSON
Babbage  PROPN  6 250 ep PERSON
never    ADV    6 90
built    VERB   5 110
in       ADP    6 25
London   PROPN  7 210 EP GPE
.        PUNCT  2 0
"""
_STORY = (
    "Rain fell all night . | The river rose over the bridge . | By dawn the bridge was gone ."
)
_SOURCE, _TARGET = "The bridge was gone .", "Le pont était parti ."
_COUNTS = {"the": 9000, ".": 8000, "a": 5000, "in": 4500, "for": 2500, "that": 2300}
_COUNTS |= {"was": 2000, "first": 400, "never": 300, "program": 60, "London": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row and what its ids mean."""

    rows: PaddedRows
    tokens: tuple[str, ...]

    @property
    def ids(self) -> list[int]:
        found: list[int] = self.rows.input_ids[0].tolist()
        return found


def _words() -> tuple[str, ...]:
    lines = [line.split()[0] for line in _SENTENCE.split("\n") if line]
    story = [word for word in _STORY.split() if word != "|"]
    words = [*lines, *story, *_SOURCE.split(), *_TARGET.split()]
    return tuple(dict.fromkeys(words))


WORDS = _words()
TOKENS = (*SPECIALS, "</s>", *SENTINELS, *WORDS)
_FIRST = len(TOKENS) - len(WORDS)
VOCABULARY = Vocabulary(
    size=len(TOKENS),
    pad_id=0,
    unk_id=1,
    cls_id=2,
    sep_id=3,
    mask_id=4,
    eos_id=5,
    special_ids=tuple(k for k in range(_FIRST) if k != 1),
    sentinel_ids=tuple(range(6, _FIRST)),
    prefix_ids=(2,),
    suffix_ids=(3,),
    replacement_ranges=((_FIRST, len(TOKENS)),),
)


def _id(token: str) -> int:
    return TOKENS.index(token)


def binding() -> Binding:
    """The binding of all examples."""
    counts = np.array([0] * _FIRST + [_COUNTS.get(word, 20) for word in WORDS], np.int64)
    pairs = [("Charles", "Babbage"), ("never", "built"), ("first", "program")]
    ngrams: list[tuple[tuple[int, ...], ...]] = [
        tuple((_id(word),) for word in words) for words in pairs
    ]
    ngrams.append(((_id("Ada"),), (_id("Love"), _id("##lace"))))
    return Binding(
        vocabulary=VOCABULARY,
        max_length=32,
        tables={"counts": counts, "collocations": collocation_table(ngrams)},
        tracks={"pos_tags": POS, "entity_labels": LABELS},
        boundaries=("sentence_start", "entity_start", "in_entity", "phrase_start", "in_phrase"),
    )


def _example(tokens: list[str], bits: list[int], tracks: dict[str, list[int]]) -> Example:
    """``[CLS] tokens [SEP]`` as a batch of one row; `tracks` go with the tokens."""
    special = int(Boundary.SPECIAL)
    spelled = ("[CLS]", *tokens, "[SEP]")
    rows = PaddedRows(
        input_ids=np.array([[_id(token) for token in spelled]], np.int32),
        lengths=np.array([len(spelled)], np.int32),
        boundaries=np.array([[special, *bits, special]], np.int32),
        keys=np.array([[2025, 7]], np.int32),
        tracks={name: np.array([[0, *x, 0]], np.int32) for name, x in tracks.items()},
    )
    return Example(rows=rows, tokens=spelled)


def sentence() -> Example:
    """One sentence with entities, phrases and every track of words."""
    tokens, bits = [], []
    tracks: dict[str, list[int]] = {"pos_tags": [], "depth": [], "salience": []}
    marks = {
        "E": Boundary.ENTITY_START | Boundary.IN_ENTITY,
        "e": Boundary.IN_ENTITY,
        "P": Boundary.PHRASE_START | Boundary.IN_PHRASE,
        "p": Boundary.IN_PHRASE,
    }
    for line in filter(None, _SENTENCE.split("\n")):
        token, tag, depth, salience, *rest = line.split()
        bit = Boundary(0) if token.startswith("##") else Boundary.WORD_START
        for mark in rest[0] if rest else "":
            bit |= marks[mark]
        tokens.append(token)
        bits.append(int(bit))
        tracks["pos_tags"].append(POS.index(tag))
        tracks["depth"].append(int(depth))
        tracks["salience"].append(int(salience))
    bits[0] |= int(Boundary.SENTENCE_START | Boundary.DOCUMENT_START)
    return _example(tokens, bits, tracks)


def story() -> Example:
    """Three sentences with their ranks."""
    tokens, bits = [], []
    for number, words in enumerate(_STORY.split(" | ")):
        for place, word in enumerate(words.split()):
            bit = Boundary.WORD_START
            bit |= Boundary.SENTENCE_START if place == 0 else 0
            bit |= Boundary.DOCUMENT_START if number == place == 0 else 0
            tokens.append(word)
            bits.append(int(bit))
    ids = np.array([_id(token) for token in tokens])
    ranks = row_ranks(ids, np.array(bits), np.array([len(ids)]))
    return _example(tokens, bits, {"sentence_ranks": ranks.tolist()})


def pair() -> Example:
    """A source and its target."""
    source, target = _SOURCE.split(), _TARGET.split()
    tokens = [*source, "[SEP]", *target]
    bits = [int(Boundary.SPECIAL if t == "[SEP]" else Boundary.WORD_START) for t in tokens]
    segment = [0] * (len(source) + 1) + [1] * len(target)
    example = _example(tokens, bits, {"segment": segment})
    example.rows.tracks["segment"][0, -1] = 1
    return example

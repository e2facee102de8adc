"""What the audit looks at: some rows, and what one policy made of them in one epoch.

Arrays: B rows, L positions; ``N`` are the text tokens of the batch end to end, special tokens
and padding left out, so that everything that follows costs one value per token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from premask._format import IGNORE_LABEL, Boundary
from premask.masking._rows import Vocabulary

_SPANS = {
    "entity": (Boundary.ENTITY_START, Boundary.IN_ENTITY),
    "phrase": (Boundary.PHRASE_START, Boundary.IN_PHRASE),
}


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """The rows before masking.

    Attributes:
        ids_BL: int32 token ids.
        lengths_B: int64.
        boundaries_BL: uint8, bits of `premask.Boundary`; None where the data have none.
        special_BL: bool, special tokens.
        tracks: uint8 ``[B, L]`` by name.
        seeds_B: uint64; None where the rows have none.
        sentence_borders: whether a sentence's border ends a unit.
    """

    ids_BL: np.ndarray
    lengths_B: np.ndarray
    special_BL: np.ndarray
    boundaries_BL: np.ndarray | None
    tracks: Mapping[str, np.ndarray]
    seeds_B: np.ndarray | None
    sentence_borders: bool = False

    @cached_property
    def inside_BL(self) -> np.ndarray:
        """bool: before the row's end."""
        inside: np.ndarray = np.arange(self.ids_BL.shape[1]) < self.lengths_B[:, None]
        return inside

    @cached_property
    def text_BL(self) -> np.ndarray:
        """bool: within the row and no special token."""
        text: np.ndarray = self.inside_BL & ~self.special_BL
        return text

    @cached_property
    def num_text_B(self) -> np.ndarray:
        """int64: text tokens per row."""
        counts: np.ndarray = self.text_BL.sum(axis=1, dtype=np.int64)
        return counts

    @cached_property
    def ids_N(self) -> np.ndarray:
        ids: np.ndarray = self.ids_BL[self.text_BL]
        return ids

    @cached_property
    def rank_N(self) -> np.ndarray:
        """int64: number of text tokens before this one in its row."""
        first_B = np.cumsum(self.num_text_B) - self.num_text_B
        rank: np.ndarray = np.arange(len(self.ids_N)) - np.repeat(first_B, self.num_text_B)
        return rank

    @cached_property
    def num_text_N(self) -> np.ndarray:
        """int64: text tokens of this token's row."""
        return np.repeat(self.num_text_B, self.num_text_B)

    @cached_property
    def opens_run_N(self) -> np.ndarray:
        """bool: a special token, or the row's start, stands right before this token."""
        before_BL = np.zeros_like(self.text_BL)
        before_BL[:, 1:] = self.text_BL[:, :-1]
        opens: np.ndarray = ~before_BL[self.text_BL]
        return opens

    @cached_property
    def bits_N(self) -> np.ndarray | None:
        return None if self.boundaries_BL is None else self.boundaries_BL[self.text_BL]

    @cached_property
    def word_start_N(self) -> np.ndarray:
        """bool: a word opens here; every token is a word where rows have no boundaries."""
        if self.bits_N is None:
            return np.ones(len(self.ids_N), bool)
        starts: np.ndarray = self.opens_run_N | (
            (self.bits_N & int(Boundary.WORD_START | self._borders)) != 0
        )
        return starts

    @cached_property
    def word_N(self) -> np.ndarray:
        """int64: ordinal of this token's word, from 1."""
        return np.cumsum(self.word_start_N)

    @cached_property
    def word_lengths_N(self) -> np.ndarray:
        """int64: tokens in this token's word."""
        return np.bincount(self.word_N)[self.word_N] if len(self.word_N) else self.word_N

    @property
    def _borders(self) -> Boundary:
        sentence = Boundary.SENTENCE_START if self.sentence_borders else Boundary(0)
        return Boundary.DOCUMENT_START | sentence

    def members(self, unit: str) -> tuple[np.ndarray, np.ndarray]:
        """Where the units of a kind lie: places int64 ``[M]`` in N, and starts bool ``[M]``."""
        if unit == "word":
            return np.arange(len(self.ids_N)), self.word_start_N
        if self.bits_N is None:
            return np.empty(0, np.int64), np.empty(0, bool)
        start_bit, member_bit = _SPANS[unit]
        member_N = (self.bits_N & int(start_bit | member_bit)) != 0
        places = np.flatnonzero(member_N)
        starts_N = (self.bits_N & int(start_bit | self._borders)) != 0
        apart = np.ones(len(places), bool)
        apart[1:] = np.diff(places) > 1
        return places, starts_N[places] | apart | self.opens_run_N[places]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One masked version of `SourceRows`.

    Attributes:
        selected_BL: bool, the positions that are to be predicted; None for objectives whose
            targets are not tokens of the row at known positions.
        corrupted_BL: int32, what the model reads at each position; None where an objective
            moves or removes tokens.
        wrong_labels: labels that differ from the row's token.
        num_inputs_B, num_targets_B, num_sentinels_B: int64, tokens that encoder and decoder
            see, and sentinels in the input; None unless inputs and targets are two sequences.
    """

    selected_BL: np.ndarray | None
    corrupted_BL: np.ndarray | None
    wrong_labels: int = 0
    num_inputs_B: np.ndarray | None = None
    num_targets_B: np.ndarray | None = None
    num_sentinels_B: np.ndarray | None = None


def observe_aligned(
    source: SourceRows, input_ids_BL: np.ndarray, labels_BL: np.ndarray
) -> Observation:
    """An objective that keeps every token at its position: labels stand where they predict."""
    labelled_BL = (labels_BL != IGNORE_LABEL) & source.inside_BL
    return Observation(
        selected_BL=labelled_BL,
        corrupted_BL=input_ids_BL,
        wrong_labels=int((labelled_BL & (labels_BL != source.ids_BL)).sum()),
    )


def observe_sequences(
    source: SourceRows, outputs: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> Observation:
    """An objective with an input and a target sequence.

    Where sentinels stand for what was taken out (T5), the hidden positions are recovered
    from the two sequences alone.
    """
    inputs_BS, labels_BT = outputs["input_ids"], outputs["labels"]
    read_BS = outputs["attention_mask"] != 0
    wanted_BT = labels_BT != IGNORE_LABEL
    in_input_BS = read_BS & np.isin(inputs_BS, vocabulary.sentinel_ids)
    selected_BL = None
    if vocabulary.sentinel_ids:
        hidden_BK = _hidden_tokens(
            np.isin(labels_BT, vocabulary.sentinel_ids) & wanted_BT,
            wanted_BT & ~np.isin(labels_BT, vocabulary.special_ids),
            int(in_input_BS.sum(axis=1).max(initial=0)),
        )
        kept_BS = read_BS & ~np.isin(inputs_BS, vocabulary.special_ids)
        selected_BL = _recover(source, in_input_BS, kept_BS, hidden_BK)
    return Observation(
        selected_BL=selected_BL,
        corrupted_BL=None,
        num_inputs_B=read_BS.sum(axis=1, dtype=np.int64),
        num_targets_B=wanted_BT.sum(axis=1, dtype=np.int64),
        num_sentinels_B=in_input_BS.sum(axis=1, dtype=np.int64),
    )


def _hidden_tokens(
    sentinel_BT: np.ndarray, text_BT: np.ndarray, num_sentinels: int
) -> np.ndarray:
    """int64 ``[B, K + 1]``: target tokens that follow sentinel k, from 1; 0: none before."""
    ordinal_BT = np.minimum(np.cumsum(sentinel_BT, axis=1), num_sentinels)
    width = num_sentinels + 1
    cell_BT = ordinal_BT + np.arange(len(ordinal_BT))[:, None] * width
    counts = np.bincount(cell_BT[text_BT], minlength=len(ordinal_BT) * width)
    return counts.reshape(len(ordinal_BT), width)


def _recover(
    source: SourceRows, sentinel_BS: np.ndarray, kept_BS: np.ndarray, hidden_BK: np.ndarray
) -> np.ndarray:
    """The hidden positions, bool ``[B, L]``; none in rows whose sequences do not add up."""
    item_BS = sentinel_BS | kept_BS
    row_of_item, _ = np.nonzero(item_BS)
    hides = sentinel_BS[item_BS]
    width = np.where(hides, hidden_BK[row_of_item, np.cumsum(sentinel_BS, axis=1)[item_BS]], 1)
    found_B = np.bincount(row_of_item, weights=width, minlength=len(item_BS)).astype(np.int64)
    whole_B = found_B == source.num_text_B
    flags = np.repeat(hides & whole_B[row_of_item], np.where(whole_B[row_of_item], width, 0))
    selected_BL = np.zeros_like(source.inside_BL)
    selected_BL[source.text_BL & whole_B[:, None]] = flags
    return selected_BL

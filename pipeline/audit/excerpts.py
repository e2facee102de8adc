"""A few rows to look at: their tokens, and what was made of each in every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._rows import Vocabulary
from premask.pipeline.audit.inputs import AuditInput, RowRange
from premask.pipeline.audit.observation import Observation, SourceRows
from premask.pipeline.audit.words import Speller, join

NUM_EXCERPTS = 6
MOST_TOKENS = 160
MOST_EPOCHS = 3

# What became of a token; `TOKEN_STATES` in the JSON document are these words.
PLAIN, SPECIAL, MASKED, RANDOM, KEPT = "plain", "special", "masked", "random", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """One row as people read it.

    Attributes:
        row: its number.
        texts: one per token, with a leading blank where a word opens.
        entities: the label of the entity a token lies in, or "".
        states: per epoch, per token, one of plain, special, masked, random, kept.
        reads: per epoch, what the model reads where that differs, by token number.
        whole: whether all of the row is shown.
    """

    row: int
    texts: list[str]
    entities: list[str]
    states: list[list[str]]
    reads: list[dict[int, str]]
    whole: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "tokens": self.texts,
            "entities": self.entities,
            "states": self.states,
            "reads": [{str(i): text for i, text in epoch.items()} for epoch in self.reads],
            "whole": self.whole,
        }


def choose_rows(tasks: list[RowRange]) -> list[tuple[RowRange, int]]:
    """Rows evenly spread over the input: the same ones every time."""
    total = sum(task.stop - task.start for task in tasks)
    wanted = sorted({total * (2 * i + 1) // (2 * NUM_EXCERPTS) for i in range(NUM_EXCERPTS)})
    chosen, before = [], 0
    for task in tasks:
        size = task.stop - task.start
        chosen += [
            (RowRange(file=task.file, start=row, stop=row + 1), row)
            for row in (task.start + w - before for w in wanted if before <= w < before + size)
        ]
        before += size
    return chosen


def excerpts(source: AuditInput, spell: Speller, labels: tuple[str, ...]) -> list[Excerpt]:
    """The chosen rows of `source`; `labels` name the codes of the entity track."""
    found = []
    for rows, row in choose_rows(source.tasks()):
        for block, observations in source.blocks(rows):
            found.append(_excerpt(row, block, observations, source.vocabulary, spell, labels))
    return found


def _excerpt(
    row: int,
    source: SourceRows,
    observations: list[Observation],
    vocabulary: Vocabulary,
    spell: Speller,
    labels: tuple[str, ...],
) -> Excerpt:
    length = min(int(source.lengths_B[0]), MOST_TOKENS)
    shown = observations[:MOST_EPOCHS]
    return Excerpt(
        row=row,
        texts=join([spell(token) for token in source.ids_BL[0, :length].tolist()]),
        entities=_entities(source, length, labels),
        states=[_states(source, seen, vocabulary, length) for seen in shown],
        reads=[_reads(source, seen, length, spell) for seen in shown],
        whole=length == int(source.lengths_B[0]),
    )


def _entities(source: SourceRows, length: int, labels: tuple[str, ...]) -> list[str]:
    if source.boundaries_BL is None:
        return [""] * length
    inside = (source.boundaries_BL[0, :length] & int(Boundary.IN_ENTITY)) != 0
    codes = source.tracks.get("entity_labels")
    if codes is None:
        return ["entity" if flag else "" for flag in inside]
    names = [labels[code] if code < len(labels) else "entity" for code in codes[0, :length]]
    return [name if flag else "" for name, flag in zip(names, inside, strict=True)]


def _states(
    source: SourceRows, seen: Observation, vocabulary: Vocabulary, length: int
) -> list[str]:
    states = np.where(source.special_BL[0, :length], SPECIAL, PLAIN).astype(object)
    if seen.selected_BL is None:
        return [str(state) for state in states]
    selected = seen.selected_BL[0, :length]
    states[selected] = MASKED
    if seen.corrupted_BL is not None:
        read, ids = seen.corrupted_BL[0, :length], source.ids_BL[0, :length]
        states[selected & (read != vocabulary.mask_id)] = RANDOM
        states[selected & (read == ids)] = KEPT
    return [str(state) for state in states]


def _reads(
    source: SourceRows, seen: Observation, length: int, spell: Speller
) -> dict[int, str]:
    if seen.corrupted_BL is None:
        return {}
    read = seen.corrupted_BL[0, :length]
    differs = np.flatnonzero(read != source.ids_BL[0, :length])
    return {int(place): spell(int(read[place])).strip() for place in differs}

"""Back from a training example to the row it was made of; for `premask show` and for tests.

Host code on plain lists, one row at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from premask._format import IGNORE_LABEL
from premask.masking._rows import Vocabulary
from premask.masking.objectives._decoder import end_id


def unpadded(values: Sequence[int], attention_mask: Sequence[int]) -> list[int]:
    """The values that the attention mask shows, as plain integers."""
    return [int(v) for v, seen in zip(values, attention_mask, strict=True) if seen]


def target_ids(labels: Sequence[int]) -> list[int]:
    """The labels without the ignored ones, as plain integers."""
    return [int(v) for v in labels if v != IGNORE_LABEL]


def restore_spans(
    inputs: Sequence[int], targets: Sequence[int], vocabulary: Vocabulary
) -> list[int]:
    """The row of a span-corrupted pair, both without padding: sentinels become their spans.

    A closing EOS that was appended to the inputs stays; that of the targets goes.
    """
    sentinels = frozenset(vocabulary.sentinel_ids)
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in _without_end(targets, vocabulary):
        if token in sentinels:
            current = spans[token] = []
        else:
            current.append(token)
    row: list[int] = []
    for token in inputs:
        row += spans.get(token, [token]) if token in sentinels else [token]
    return row


def undo_fill_in_middle(
    ids: Sequence[int], vocabulary: Vocabulary, sentinels: Sequence[int] = ()
) -> list[int]:
    """The row that `fill_in_middle` made `ids` of.

    `sentinels` are those that it was given; by default the tokenizer's first three. The middle
    ends at the first special after it.
    """
    row = list(ids)
    prefix_id, suffix_id, middle_id = sentinels or vocabulary.sentinel_ids[:3]
    if prefix_id not in row:
        return row
    start, suffix_at, middle_at = (row.index(x) for x in (prefix_id, suffix_id, middle_id))
    specials = frozenset(vocabulary.special_ids)
    rest = range(middle_at + 1, len(row))
    end = next((i for i in rest if row[i] in specials), len(row))
    prefix, suffix = row[start + 1 : suffix_at], row[suffix_at + 1 : middle_at]
    return row[:start] + prefix + row[middle_at + 1 : end] + suffix + row[end:]


def _without_end(targets: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    ids = list(targets)
    return ids[:-1] if ids and ids[-1] == end_id(vocabulary) else ids

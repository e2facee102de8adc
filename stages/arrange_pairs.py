"""Rows of a source and its target, for translation and summarisation.

Each side is cut to what fits (`Rows.target_length` of a row's tokens are the target's, the
others the source's, special tokens included), as Hugging Face tokenizers truncate on the right;
``truncated_pairs`` and ``truncated_tokens`` count that. With ``overflow: reject`` such a pair
is rejected instead, as ``too_long``.
"""

from __future__ import annotations

from itertools import pairwise

from premask.stages.cut_rows import Row
from premask.stages.layout import Numbering
from premask.stages.token_stream import TokenStream


def cut_pairs(
    numbering: Numbering, stream: TokenStream, start: int, is_last: bool
) -> tuple[list[Row], int]:
    """One row for every document from `start` on."""
    del is_last
    layout, rows = numbering.layout, []
    starts = stream.document_starts[stream.document_starts >= start].tolist()
    targets = stream.part_starts[stream.part_starts >= start].tolist()
    for (begin, end), target in zip(pairwise([*starts, len(stream)]), targets, strict=True):
        source_end = min(target, begin + layout.capacity)
        target_end = min(end, target + layout.target_capacity)
        lost = target - source_end + end - target_end
        short = source_end - begin + target_end - target < layout.rows.min_length
        if short or (lost and layout.rows.overflow == "reject"):
            numbering.drop(stream, begin, end)
            continue
        numbering.count("truncated_pairs", int(lost > 0))
        numbering.count("truncated_tokens", lost)
        rows.append(numbering.make((begin, source_end), (target, target_end)))
    return rows, len(stream)

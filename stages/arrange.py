"""Cuts token streams into rows: TOKENS to ROWS.

``full``
    The documents of a unit end to end, a separator behind each, cut every `max_length` tokens.
    Where the tokenizer puts special tokens around a row, a separator that would stand right
    beside them is left out; without a template (GPT-2) every document keeps its end token.
``sentences``, ``document_sentences``
    Whole sentences, as many as fit: RoBERTa's FULL-SENTENCES, in which a row may go on into the
    next document behind a separator, and DOC-SENTENCES, in which it may not (Liu et al., 2019).
``documents``, ``lines``
    Windows of one document, each sharing `stride` tokens with the one before; or of one line.
``segment_pairs``, ``sentence_order``, ``pairs``
    Rows of two parts: see `premask.stages.arrange_segments`, `premask.stages.arrange_pairs`.

No token is lost: the last, shorter row of a unit or document is kept, unless `min_length` asks
for its removal. Then it is counted in ``dropped_rows`` and ``dropped_tokens``; documents of
which no row is left are rejected as ``too_short``. A sentence that is longer than a row is cut
(``sentence_cuts``). Where batches begin and end has no influence.

The first text token of every part begins a word even where the cut fell inside one, so that no
unit of masking reaches from one row, or one part, into another.

Work is per row in Python (about 2 microseconds) and per token in loops (about 2 ns). Memory
holds a batch, or two windows of `premask.stages.windows` where rows are chosen from many
documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from premask._format import TRACKS
from premask.masking._rows import Vocabulary
from premask.schemas.job import Rows
from premask.schemas.unit import Ledger
from premask.stages.arrange_documents import cut_documents
from premask.stages.arrange_pairs import cut_pairs
from premask.stages.arrange_segments import cut_segments
from premask.stages.arrange_stream import cut_full, cut_sentences
from premask.stages.cut_rows import CutRows, Row
from premask.stages.layout import Layout, Numbering
from premask.stages.placing import Placing
from premask.stages.row_identity import RowIdentity
from premask.stages.rows_table import RowTable
from premask.stages.token_stream import TokenStream
from premask.stages.windows import WINDOW_TOKENS

# (numbering, stream, from where, whether the unit ends with the stream) to rows, and the
# position up to which the stream is used. Called again when the stream has grown.
Cutter = Callable[[Numbering, TokenStream, int, bool], tuple[list[Row], int]]

_CUTTERS: dict[str, Cutter] = {
    "full": cut_full,
    "sentences": cut_sentences,
    "documents": cut_documents,
    "document_sentences": cut_documents,
    "lines": cut_documents,
    "segment_pairs": cut_segments,
    "sentence_order": cut_segments,
    "pairs": cut_pairs,
}
_BATCH_TOKENS = 1 << 20


def arrange(
    tokens: Iterable[pa.RecordBatch],
    *,
    rows: Rows,
    vocabulary: Vocabulary,
    identity: RowIdentity,
    ledger: Ledger,
    tokenizer: Any = None,
) -> Iterator[pa.RecordBatch]:
    """Arranges the documents of one unit into rows of `premask.schemas.shard.row_schema`.

    `tokenizer` is a `tokenizers.Tokenizer`, asked for its template of two segments.
    """
    layout = Layout.of(rows, vocabulary, tokenizer)
    unit = _Unit(
        cut=_CUTTERS[rows.arrangement],
        ledger=ledger,
        placing=Placing(identity),
        copies=[
            Numbering(layout=layout, identity=identity, counters=ledger.counters, copy=copy)
            for copy in range(rows.dupe_factor)
        ],
        positions=[0] * rows.dupe_factor,
    )
    table: RowTable | None = None
    for stream, is_last in _streams(tokens, unit, layout):
        names = [name for name in TRACKS if name in stream.columns]
        table = table or RowTable.of(vocabulary.size, layout.frame, names, layout.label)
        for made in unit.rows(stream, is_last):
            yield table.rows(stream, made)
    ledger.places = unit.placing.places()


def _streams(
    tokens: Iterable[pa.RecordBatch], unit: _Unit, layout: Layout
) -> Iterator[tuple[TokenStream, bool]]:
    """What the unit has not used, grown by at least a batch; in the end once more."""
    chooses = layout.label is not None or layout.rows.packing != "none"
    waiting: list[TokenStream] = []
    for batch in tokens:
        waiting.append(TokenStream.of(batch, layout.separator))
        if sum(map(len, waiting[1:])) >= (WINDOW_TOKENS if chooses else 0):
            stream = TokenStream.joined(waiting)
            yield stream, False
            waiting = [unit.leave(stream)]
    if waiting:
        stream = TokenStream.joined(waiting)
        yield stream, True
        unit.leave(stream)


@dataclass(slots=True, kw_only=True)
class _Unit:
    """The copies of a unit, each at its own position of the stream."""

    cut: Cutter
    ledger: Ledger
    placing: Placing
    copies: list[Numbering]
    positions: list[int]

    def rows(self, stream: TokenStream, is_last: bool) -> Iterator[CutRows]:
        """The rows that the stream gives, some at a time."""
        for index, numbering in enumerate(self.copies):
            rows, used = self.cut(numbering, stream, self.positions[index], is_last)
            self.positions[index] = len(stream) if is_last else used
            size = max(1, _BATCH_TOKENS // numbering.layout.rows.max_length)
            for first in range(0, len(rows), size):
                made = CutRows.of(stream, rows[first : first + size])
                self.placing.note(stream, made)
                yield made

    def leave(self, stream: TokenStream) -> TokenStream:
        """What no copy has used yet; documents that are in no row are rejected."""
        position = min(self.positions)
        self.positions = [at - position for at in self.positions]
        for document in self.placing.leave(stream, stream.num_behind(position)):
            self._reject(stream, document)
        return stream.behind(position)

    def _reject(self, stream: TokenStream, document: int) -> None:
        rows = self.copies[0].layout.rows
        starts = [*stream.document_starts.tolist(), len(stream)]
        size = starts[document + 1] - max(starts[document], 0)
        reason, detail = "too_short", f"no row of it would have {rows.min_length} tokens"
        if rows.arrangement == "pairs" and size >= rows.min_length:
            reason, detail = "too_long", f"source and target have {size} tokens"
        elif self.copies[0].layout.label:
            detail += ", or it is a single word and makes no two segments"
        self.ledger.reject(
            document_id=stream.document_ids[document].as_py(),
            position=int(stream.positions[document]),
            stage="arrange",
            reason=reason,
            detail=detail,
        )

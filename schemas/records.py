"""What flows between the stages of a unit: Arrow record batches with these columns.

::

    read ─ DOCUMENTS ─► strip, clean ─ DOCUMENTS ─► annotate ─ DOCUMENTS + annotations ─►
    tokenize ─ TOKENS ─► arrange ─ ROWS ─► count ─ ROWS ─► write

Offsets into a text are code points, half-open. A batch holds at most `MAX_BATCH_DOCUMENTS`
documents and about `MAX_BATCH_CHARACTERS` characters (one longer document is a batch alone),
so that every stage runs in bounded memory.
"""

from __future__ import annotations

import pyarrow as pa

MAX_BATCH_DOCUMENTS = 4096
MAX_BATCH_CHARACTERS = 1_000_000

# `position` is where the document begins in its file: a byte, a line or a row, as the format
# says; those of a unit's files are numbered through, see `Ledger.locate`.
DOCUMENTS = pa.schema(
    [
        pa.field("document_id", pa.large_string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
    ]
)

# Beside these in jobs for pairs: what the text is to be turned into.
TARGET = "target"
TARGETED_DOCUMENTS = DOCUMENTS.append(pa.field(TARGET, pa.large_string(), nullable=False))

# Added by `annotate`, only those that the job asks for. Spans are parallel lists.
ANNOTATIONS = {
    "sentence_starts": pa.large_list(pa.int32()),
    "entity_starts": pa.large_list(pa.int32()),
    "entity_ends": pa.large_list(pa.int32()),
    "entity_codes": pa.large_list(pa.uint8()),
    "phrase_starts": pa.large_list(pa.int32()),
    "phrase_ends": pa.large_list(pa.int32()),
    "annotated_word_starts": pa.large_list(pa.int32()),
    "annotated_word_ends": pa.large_list(pa.int32()),
    "pos_tags": pa.large_list(pa.uint8()),  # one per annotated word
    "depth": pa.large_list(pa.uint8()),  # one per annotated word
    "salience": pa.large_list(pa.uint8()),  # one per annotated word
}

# After `tokenize`: one record per document, without special tokens but those that mark its
# parts for filling in the middle. Tracks (uint8 per token, names of `premask._format.TRACKS`)
# follow when their annotations were there, then `PARTS` where rows are cut by parts.
TOKENS = pa.schema(
    [
        pa.field("document_id", pa.large_string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("input_ids", pa.large_list(pa.uint32()), nullable=False),
        pa.field("boundaries", pa.large_list(pa.uint8()), nullable=False),
    ]
)

# How many tokens each line has, or the source and the target.
PARTS = "parts"
PARTS_FIELD = pa.field(PARTS, pa.large_list(pa.int64()), nullable=False)

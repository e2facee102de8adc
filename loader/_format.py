"""The shard format: column names, boundary bits and file names.

A shard is an Arrow IPC *stream* under the name ``.arrow``. One record is one row; every list
column of a row has the row's length. Shared by the writer (`premask.stages.write`) and by
every reader; a change here is a change of `FORMAT_VERSION`.
"""

from __future__ import annotations

from enum import IntFlag

FORMAT_NAME = "premask-shards"
FORMAT_VERSION = 1

MANIFEST_FILE = "manifest.json"
JOB_FILE = "job.yaml"
TOKENIZER_FILE = "tokenizer.json"
COUNTS_FILE = "counts.arrow"
IDF_FILE = "idf.arrow"
COLLOCATIONS_FILE = "collocations.arrow"
REJECTED_FILE = "rejected.jsonl"
DOCUMENTS_FILE = "documents.arrow"
SHARDS_DIRECTORY = "shards"

INPUT_IDS = "input_ids"
BOUNDARIES = "boundaries"
SEED = "seed"
DOCUMENT_ID = "document_id"
NUM_DOCUMENTS = "num_documents"
LABELS = "labels"
EPOCH = "epoch"
SEGMENT = "segment"
TOKEN_TYPE_IDS = "token_type_ids"
NEXT_SENTENCE_LABEL = "next_sentence_label"
SENTENCE_ORDER_LABEL = "sentence_order_label"
# One number per row: what a head on the whole row is to predict.
ROW_LABELS = (
    NEXT_SENTENCE_LABEL,  # 0: the second segment follows the first; 1: it is another document's
    SENTENCE_ORDER_LABEL,  # 0: the segments are in order; 1: they are swapped
)

IGNORE_LABEL = -100


class Boundary(IntFlag):
    """Bits of the `boundaries` column (uint8 per token)."""

    SPECIAL = 1
    WORD_START = 2
    SENTENCE_START = 4
    DOCUMENT_START = 8
    ENTITY_START = 16
    IN_ENTITY = 32
    PHRASE_START = 64
    IN_PHRASE = 128


# Optional per-token tracks, each list<uint8>; 0 always means "none".
TRACKS = (
    "entity_labels",  # code of the entity's label, see Manifest.tracks
    "pos_tags",  # code of the universal part of speech, see Manifest.tracks
    "depth",  # distance to the root of the dependency tree, plus 1, at most 255
    "salience",  # rank of the token's score within its sentence: 255 is the highest
    "sentence_ranks",  # 1: the sentence that sums up its row best; see stages.rank_sentences
    SEGMENT,  # 0 in the source of a pair, 1 in its target
    TOKEN_TYPE_IDS,  # 0 in the first of two segments, 1 in the second
)

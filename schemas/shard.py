"""The Arrow schema of a shard's rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pyarrow as pa
from premask._format import (
    BOUNDARIES,
    DOCUMENT_ID,
    FORMAT_NAME,
    FORMAT_VERSION,
    INPUT_IDS,
    NUM_DOCUMENTS,
    SEED,
    TRACKS,
)

_MAX_UINT16_SIZE = 1 << 16


def id_type(vocabulary_size: int) -> pa.DataType:
    """uint16 where every id of the vocabulary fits, else uint32."""
    return pa.uint16() if vocabulary_size <= _MAX_UINT16_SIZE else pa.uint32()


def row_schema(
    vocabulary_size: int, tracks: Iterable[str] = (), labels: Iterable[str] = ()
) -> pa.Schema:
    """Columns of a row, without metadata; `tracks` in the order of `premask._format.TRACKS`.

    `labels` are one number per row each, names of `premask._format.ROW_LABELS`.
    """
    wanted = frozenset(tracks)
    per_token = [
        (INPUT_IDS, id_type(vocabulary_size)),
        (BOUNDARIES, pa.uint8()),
        *((track, pa.uint8()) for track in TRACKS if track in wanted),
    ]
    return pa.schema(
        [
            *(pa.field(name, pa.list_(kind), nullable=False) for name, kind in per_token),
            pa.field(SEED, pa.uint64(), nullable=False),
            pa.field(DOCUMENT_ID, pa.string(), nullable=False),
            pa.field(NUM_DOCUMENTS, pa.uint16(), nullable=False),
            *(pa.field(label, pa.uint8(), nullable=False) for label in labels),
        ]
    )


def shard_metadata(
    tokenizer_sha256: str, track_names: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """What a shard says about itself; the manifest says the same for the whole set."""
    tracks = {track: list(names) for track, names in track_names.items()}
    return {
        "format": FORMAT_NAME,
        "format_version": str(FORMAT_VERSION),
        "tokenizer_sha256": tokenizer_sha256,
        "tracks": json.dumps(tracks, sort_keys=True, ensure_ascii=False),
    }

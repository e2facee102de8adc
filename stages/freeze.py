"""Freezes masks: evaluates a policy for one epoch over rows of a shard set, as a static shard.

Law 1: epoch `e` of a frozen set equals what the loader makes of the unfrozen set at epoch `e`,
bit for bit (``test_static_equals_dynamic``). Rows keep their order; one record batch of input
is in memory at a time. What a policy gives per row becomes a column: a list without its
padding, or a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from premask._errors import PolicyError
from premask._format import (
    DOCUMENT_ID,
    EPOCH,
    IGNORE_LABEL,
    INPUT_IDS,
    LABELS,
    NUM_DOCUMENTS,
    ROW_LABELS,
    SEED,
    TOKEN_TYPE_IDS,
)
from premask.batching.beside import beside
from premask.manifest import Manifest
from premask.masking.masker import Masker
from premask.masking.policy import Policy
from premask.rows import Rows
from premask.schemas.shard import id_type
from premask.shards import ShardSet
from premask.stages.write import Compression, HashingFile, WrittenShard

_ATTENTION = "attention_mask"
_DECODER_IDS, _DECODER_ATTENTION = "decoder_input_ids", "decoder_attention_mask"
# Operations whose labels are an own sequence; those of the others lie on the input's tokens.
_WITH_TARGETS = (
    *("span_corruption", "ul2", "denoising", "gap_sentences"),
    *("mass", "future_ngram", "seq2seq"),
)
_NUMBERS = ("modes",)
_SQUARES = ("perm_mask", "target_mapping", "target_index", "ngram_labels")
_BATCH_TOKENS = 1 << 17


def check_freezable(policy: Policy) -> None:
    """Refuses a policy that makes no lists of numbers, or masks by more than row and epoch.

    Raises:
        PolicyError: naming the outputs, or what the masks depend on.
    """
    if policy.depends_on_step:
        raise PolicyError(
            f"policy {policy.name!r} cannot be frozen: its masks depend on the step of a run, "
            "which static rows have not; use epochs in place of steps, and per: row in place "
            "of per: batch",
            location="policy",
        )
    if policy.takes_feedback:
        raise PolicyError(
            f"policy {policy.name!r} cannot be frozen: its weights come from the losses of a "
            "model in training; let the loader apply it, or freeze a policy with fixed "
            "weights, such as semantic or frequency",
            location="policy",
        )
    if squares := [name for name in policy.outputs if name in _SQUARES]:
        raise PolicyError(
            f"policy {policy.name!r} cannot be frozen: it gives {', '.join(squares)}, which "
            "hold several numbers per token; let the loader make them",
            location="policy",
        )


def has_own_targets(policy: Policy) -> bool:
    """Whether labels are a sequence of their own, not one label per token of the input."""
    if policy.operation == "prefix_lm":
        return bool(policy.parameters["form"] == "encoder_decoder")
    return policy.operation in _WITH_TARGETS or any(map(has_own_targets, policy.members))


def static_schema(policy: Policy, source: Manifest) -> pa.Schema:
    """Columns of a static shard of `policy` over rows of `source`, without metadata."""
    ids = id_type(source.vocabulary.size)
    kinds: dict[str, pa.DataType] = {INPUT_IDS: pa.list_(ids), LABELS: pa.list_(pa.int32())}
    for name in policy.outputs:
        if name in _NUMBERS:
            kinds[name] = pa.int32()
        elif name != _ATTENTION:
            kinds.setdefault(name, pa.list_(pa.int32()))
    for name in beside(policy, source.columns):
        kinds[name] = pa.uint8() if name in ROW_LABELS else pa.list_(pa.uint8())
    kinds |= {
        EPOCH: pa.uint16(),
        SEED: pa.uint64(),
        DOCUMENT_ID: pa.string(),
        NUM_DOCUMENTS: pa.uint16(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])


def freeze_rows(
    shards: ShardSet,
    masker: Masker,
    *,
    first: int,
    num_rows: int,
    epoch: int,
    path: Path,
    metadata: Mapping[str, str],
    compression: Compression,
    watch: Callable[[int, int], None] | None = None,
) -> WrittenShard:
    """Writes rows ``first .. first + num_rows - 1``, masked for `epoch`, to `path`.

    `watch` is told the rows and the tokens so far, after every batch.

    Raises:
        OSError: the file cannot be written.
    """
    schema = static_schema(masker.policy, shards.manifest)
    codec = None if compression == "none" else compression
    options = pa.ipc.IpcWriteOptions(compression=codec)
    done = num_tokens = 0
    with (
        HashingFile(path) as file,
        pa.ipc.new_stream(file, schema.with_metadata(dict(metadata)), options=options) as out,
    ):
        for rows in _batches(shards, first, num_rows):
            batch = freeze_batch(masker, rows, epoch, schema)
            num_tokens += len(batch.column(INPUT_IDS).flatten())
            out.write_batch(batch)
            done += batch.num_rows
            if watch is not None:
                watch(done, num_tokens)
    return WrittenShard(
        num_rows=num_rows,
        num_tokens=num_tokens,
        num_bytes=file.size,
        xxh3_64=file.xxh3.hexdigest(),
        sha256=file.sha256.hexdigest(),
    )


def freeze_batch(masker: Masker, rows: Rows, epoch: int, schema: pa.Schema) -> pa.RecordBatch:
    """One record batch: the rows masked for `epoch`, padding cut off."""
    outputs = {name: np.asarray(x) for name, x in masker(rows.pad(), epoch).items()}
    lengths = _lengths(masker.policy, outputs)
    columns: dict[str, pa.Array] = {
        EPOCH: pa.array(np.full(len(rows), epoch, np.uint16)),
        SEED: pa.array(rows.seed),
        DOCUMENT_ID: pa.array(rows.document_ids, pa.string()),
        NUM_DOCUMENTS: pa.array(rows.numbers[NUM_DOCUMENTS]),
    }
    columns |= {
        name: pa.array(rows.numbers[name]) for name in ROW_LABELS if name in schema.names
    }
    if TOKEN_TYPE_IDS in schema.names:
        types_BL, lengths_B = rows.lists[TOKEN_TYPE_IDS], rows.lengths[TOKEN_TYPE_IDS]
        columns[TOKEN_TYPE_IDS] = _as_lists(types_BL, lengths_B, pa.list_(pa.uint8()))
    for field in schema:
        if field.name in _NUMBERS:
            columns[field.name] = pa.array(outputs[field.name], field.type)
        elif field.name not in columns:
            values_BL, lengths_B = outputs[field.name], lengths[field.name]
            columns[field.name] = _as_lists(values_BL, lengths_B, field.type)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _batches(shards: ShardSet, first: int, num_rows: int) -> Iterator[Rows]:
    step = max(1, _BATCH_TOKENS // max(1, shards.manifest.max_length))
    for start in range(first, first + num_rows, step):
        stop = min(start + step, first + num_rows)
        yield shards.rows(slice(start, stop), document_ids=True)


def _lengths(policy: Policy, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """int64 ``[B]`` by output: where each row ends and padding begins."""
    end = _ends_by(lambda name, x: x != (IGNORE_LABEL if name == LABELS else 0))
    lengths = {name: end(name, x) for name, x in outputs.items() if x.ndim == 2}
    lengths[INPUT_IDS] = end(_ATTENTION, outputs[_ATTENTION])
    if _DECODER_ATTENTION in outputs:
        lengths[_DECODER_IDS] = lengths[_DECODER_ATTENTION]
    if not has_own_targets(policy) and not (lengths[LABELS] > lengths[INPUT_IDS]).any():
        lengths[LABELS] = lengths[INPUT_IDS]
    return lengths


def _ends_by(
    is_content: Callable[[str, np.ndarray], np.ndarray],
) -> Callable[[str, np.ndarray], np.ndarray]:
    def end(name: str, values_BL: np.ndarray) -> np.ndarray:
        content = is_content(name, values_BL)
        places = np.arange(1, values_BL.shape[1] + 1)
        ends: np.ndarray = (content * places).max(axis=1, initial=0)
        return ends

    return end


def _as_lists(values_BL: np.ndarray, lengths_B: np.ndarray, kind: Any) -> pa.Array:
    inside = np.arange(values_BL.shape[1]) < lengths_B[:, None]
    offsets = np.concatenate([[0], np.cumsum(lengths_B)]).astype(np.int32)
    flat = values_BL[inside].astype(kind.value_type.to_pandas_dtype())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind)

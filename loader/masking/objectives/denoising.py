"""BART's denoising: a corrupted row in, the original row out.

Noise in this order: sentences are permuted, spans of words become one mask each (or vanish, or
one mask per token), masks are inserted, the row is rotated. Specials around the text stay in
place. Law: Lewis et al. (ACL 2020), fairseq's ``DenoisingDataset``. A row never grows through
spans of length zero: masks beyond the number of removed tokens are not inserted. Cost: about
fifteen sorts with everything on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._format import Boundary
from premask.masking._backend import (
    Array,
    constant,
    cumsum,
    gather,
    int32,
    lookup,
    namespace,
    positions,
)
from premask.masking._operation import Apply, Binding, Operation, Parameter
from premask.masking._rows import PaddedRows
from premask.masking.objectives._arrays import clip, compact, smaller
from premask.masking.objectives._chance import (
    choose,
    happens,
    ordinary_id,
    replacement_ranges,
    threshold,
    uniform,
)
from premask.masking.objectives._decoder import (
    DECODER_PARAMETERS,
    attention,
    compile_decoder,
    pad_id,
    require_mask,
)
from premask.masking.objectives._infilling import (
    SPARE_DRAWS,
    SpanLaw,
    Spans,
    poisson_thresholds,
)
from premask.masking.objectives._layout import Layout, has, layout
from premask.masking.objectives._sentences import ceil_table, permuted, sentence_starts
from premask.masking.threefry import LENGTHS, REPLACE, ROW, SECOND, SELECT, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoiser:
    """The corruption of rows, compiled from parameters."""

    sentences: np.ndarray | None  # how many change places, by number of sentences
    spans: SpanLaw
    whole_words: bool
    replace_length: int
    insertions: np.ndarray  # by number of text tokens
    rotate: int
    mask_random: int
    ranges: tuple[tuple[int, int], ...]
    mask_id: int
    pad: int
    bits: int

    def __call__(self, rows: PaddedRows, key: Array) -> tuple[Array, Array]:
        """The corrupted rows int32 ``[B, W]`` and their lengths int32 ``[B, 1]``."""
        length = rows.input_ids.shape[1]
        width = length + int(self.insertions[min(length, len(self.insertions) - 1)])
        where = layout(rows)
        draws = {
            stream: words(key, max(width, length + SPARE_DRAWS), stream)
            for stream in (SELECT, SECOND, LENGTHS)
        }
        ids, starts = self._permute(rows, where, draws[SECOND][0][:, :length])
        select = draws[SELECT][0][:, :length]
        spans = self.spans(where, starts, select, draws[LENGTHS][0])
        ids, keep = self._hide(ids, spans, where, key)
        ids, count = compact(ids, keep, width=length, fill=self.pad)
        extra = smaller(spans.inserts, where.lengths - count)
        table = constant(key, self.insertions)
        extra = extra + lookup(table, clip(where.num_text, 0, len(self.insertions) - 1))
        slot, decision, identity = draws[SECOND][1], draws[LENGTHS][1], draws[SELECT][1]
        added = self._mask_or_random(decision[:, :width], identity[:, :width])
        return self._spread(ids, count, where, extra, added, slot[:, :width], key)

    def _permute(self, rows: PaddedRows, where: Layout, word: Array) -> tuple[Array, Array]:
        """The rows with their sentences shuffled, and where words begin then."""
        flags = Boundary.WORD_START | Boundary.SENTENCE_START
        starts = where.text
        if self.whole_words:
            starts = starts & (has(rows, flags) | where.segment_start)
        if self.sentences is None:
            return rows.input_ids, starts
        begins = sentence_starts(rows, where)
        order = permuted(where, begins, word, self.sentences, self.bits)
        return gather(rows.input_ids, order), gather(starts, order) | where.segment_start

    def _hide(self, ids: Array, spans: Spans, where: Layout, key: Array) -> tuple[Array, Array]:
        """Masks in place of spans, and which tokens stay in the row."""
        xp = namespace(ids)
        shown = self._mask_or_random(*words(key, ids.shape[1], REPLACE))
        hidden = spans.first | spans.rest
        if self.replace_length < 0:
            return xp.where(hidden, shown, ids), where.inside
        gone = spans.rest if self.replace_length else hidden
        return xp.where(spans.first, shown, ids), where.inside & ~gone

    def _mask_or_random(self, decision: Array, identity: Array) -> Array:
        if not self.ranges:
            return decision * 0 + self.mask_id
        random = ordinary_id(identity, self.ranges)
        return namespace(decision).where(
            happens(decision, self.mask_random), random, self.mask_id
        )

    def _spread(
        self,
        ids: Array,
        count: Array,
        where: Layout,
        extra: Array,
        added: Array,
        word: Array,
        key: Array,
    ) -> tuple[Array, Array]:
        """Inserts `extra` tokens into the body and rotates it."""
        xp = namespace(ids)
        width = added.shape[1]
        column = positions(ids, width)
        size = count - where.leading - (where.lengths - where.end) + extra
        size = xp.where(where.num_text > 0, size, 0)
        extra = xp.where(where.num_text > 0, extra, 0)
        bits = max(self.bits, (len(self.insertions) + int(self.insertions[-1])).bit_length())
        is_new = choose(word, column < size, extra, bits)
        turned, amount = words(key, 1, ROW)
        turn = xp.where(happens(turned, self.rotate), uniform(amount, clip(size, 1, width)), 0)
        inner = column - where.leading + turn
        inner = clip(xp.where(inner >= size, inner - size, inner), 0, width - 1)
        in_body = (column >= where.leading) & (column < where.leading + size)
        source = where.leading + inner - gather(cumsum(is_new) - int32(is_new), inner)
        outside = xp.where(column < where.leading, column, column - extra)
        source = clip(xp.where(in_body, source, outside), 0, ids.shape[1] - 1)
        new = in_body & gather(is_new, inner)
        result = xp.where(new, gather(added, inner), gather(ids, source))
        return xp.where(column < count + extra, result, self.pad), count + extra


def compile_denoising(parameters: Mapping[str, Any], binding: Binding) -> Apply:
    """Rows to ``input_ids`` and ``attention_mask`` int32 ``[B, W]`` and ``labels`` ``[B, L]``.

    Labels are the whole original row. W is L, and more with `insert` alone.

    Raises:
        PolicyError: the tokenizer has no mask token, or no ordinary ids to draw from.
    """
    denoiser, finish = make_denoiser(parameters, binding), compile_decoder(parameters, binding)

    def apply(rows: PaddedRows, key: Array) -> dict[str, Array]:
        where = layout(rows)
        inputs, count = denoiser(rows, key)
        original = namespace(key).where(where.inside, rows.input_ids, denoiser.pad)
        return {
            "input_ids": inputs,
            "attention_mask": attention(count, inputs.shape[1]),
            **finish(original, where.lengths),
        }

    return apply


def make_denoiser(parameters: Mapping[str, Any], binding: Binding) -> Denoiser:
    """The corruption that `parameters` describe; see `compile_denoising`."""
    longest, share = binding.max_length, float(parameters["permute"])
    kind, random = parameters["mask_length"], float(parameters["mask_random"])
    poisson = poisson_thresholds(float(parameters["poisson_mean"]))
    return Denoiser(
        sentences=ceil_table(longest, share) if share > 0 else None,
        spans=SpanLaw(
            budgets=ceil_table(longest, float(parameters["mask"])),
            thresholds=poisson if kind == "poisson" else None,
            bits=binding.position_bits,
        ),
        whole_words=kind != "subword",
        replace_length=int(parameters["replace_length"]),
        insertions=ceil_table(longest, float(parameters["insert"])),
        rotate=threshold(parameters["rotate"]),
        mask_random=threshold(random),
        ranges=replacement_ranges(binding.vocabulary, "policy.mask_random") if random else (),
        mask_id=require_mask(binding.vocabulary),
        pad=pad_id(binding.vocabulary),
        bits=binding.position_bits,
    )


def _share(default: float, meaning: str) -> Parameter:
    return Parameter(default=default, minimum=0.0, maximum=1.0, help=meaning)


OPERATION = Operation(
    name="denoising",
    parameters={
        "permute": _share(1.0, "share of sentences that change places"),
        "mask": _share(0.3, "share of words that spans are drawn for"),
        "mask_length": Parameter(
            default="poisson",
            kind=(str,),
            choices=("poisson", "word", "subword"),
            help="what a span is: a Poisson number of words, a word, or a token",
        ),
        "poisson_mean": Parameter(
            default=3.5, minimum=0.1, maximum=20.0, help="mean number of words in a span"
        ),
        "replace_length": Parameter(
            default=1,
            kind=(int,),
            choices=(-1, 0, 1),
            help="a span becomes one mask (1), nothing (0), or a mask per token (-1)",
        ),
        "mask_random": _share(0.1, "share of masks that are random tokens instead"),
        "insert": _share(0.0, "masks that are inserted, as a share of the text"),
        "rotate": _share(0.0, "share of rows that are rotated"),
        **DECODER_PARAMETERS,
    },
    compile=compile_denoising,
    needs=lambda parameters: ("sentence_start",) if parameters["permute"] > 0 else (),
)

"""What the decoder of an encoder-decoder model is fed, and the ids that end a sequence.

Labels are unshifted, as Hugging Face models take them: label ``t`` is what step ``t`` must
produce. Models build their own decoder inputs from them; ``decoder_input_ids: true`` builds
these here for models that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from premask._errors import PolicyError
from premask._format import IGNORE_LABEL
from premask.masking._backend import (
    Array,
    gather,
    int32,
    namespace,
    positions,
    shift_right,
    total,
)
from premask.masking._operation import Binding, Parameter
from premask.masking._rows import Vocabulary
from premask.masking.objectives._arrays import append, clip, compact

# (targets int32 [B, T], their number int32 [B, 1]) -> the decoder's arrays
Finish = Callable[[Array, Array], dict[str, Array]]

DECODER_PARAMETERS: Mapping[str, Parameter] = {
    "decoder_input_ids": Parameter(
        default=False,
        kind=(bool,),
        help="also return decoder_input_ids (labels moved right by one) and "
        "decoder_attention_mask",
    ),
    "decoder_start": Parameter(
        default="pad",
        kind=(str,),
        choices=("pad", "bos", "eos", "cls", "sep", "last"),
        help="first decoder input: pad as T5, eos as BART, last (the row's last token moved to "
        "the front) as mBART and fairseq",
    ),
}

LENGTH_PARAMETERS: Mapping[str, Parameter] = {
    "input_length": Parameter(
        default=None,
        kind=(int, type(None)),
        minimum=1,
        help="width of input_ids; longer rows are cut; default: whatever a row can need",
    ),
    "target_length": Parameter(
        default=None,
        kind=(int, type(None)),
        minimum=1,
        help="width of labels; longer targets are cut; default: whatever a row can need",
    ),
}


def pad_id(vocabulary: Vocabulary) -> int:
    """The id that fills rows: the vocabulary's, or 0."""
    return 0 if vocabulary.pad_id is None else vocabulary.pad_id


def require_mask(vocabulary: Vocabulary) -> int:
    """The mask token, or the first sentinel.

    Raises:
        PolicyError: there is neither.
    """
    if vocabulary.mask_id is not None:
        return vocabulary.mask_id
    if vocabulary.sentinel_ids:
        return vocabulary.sentinel_ids[0]
    raise PolicyError(
        "the tokenizer has neither a mask token nor a sentinel; train one with [MASK]",
        location="policy",
    )


def end_id(vocabulary: Vocabulary) -> int | None:
    """The id that ends a sequence: ``</s>``, else ``[SEP]``, else none."""
    return vocabulary.sep_id if vocabulary.eos_id is None else vocabulary.eos_id


def closes_rows(vocabulary: Vocabulary) -> bool:
    """Whether rows that end with text are to be closed: where no template has done it.

    With a template, a row that ends with text was meant to; and a row never needs more columns
    than it has.
    """
    return not vocabulary.suffix_ids and end_id(vocabulary) is not None


def gather_side(
    x: Array, keep: Array, *, width: int, pad: int, end: int | None, ends: Array
) -> tuple[Array, Array]:
    """The kept tokens as one side of a pair: compacted, and closed with `end`.

    Args:
        x: int32 ``[B, N]``; `keep`: bool ``[B, N]``.
        width: columns of the result.
        pad: what fills them.
        end: the id that closes a side; None for no closing.
        ends: bool ``[B, 1]``, the rows that are to be closed. A side that is cut is closed
            too, in its last column.

    Returns:
        int32 ``[B, width]`` and the number of its tokens, int32 ``[B, 1]``.
    """
    ids, count = compact(x, keep, width=width, fill=pad)
    if end is None:
        return ids, count
    return append(ids, count, end, where=ends | (total(keep) > width))


def attention(count: Array, width: int) -> Array:
    """1 for the first `count` of `width` columns; int32 ``[B, width]``."""
    return int32(positions(count, width) < count)


def to_labels(targets: Array, count: Array) -> Array:
    """`targets` with the ignored label beyond their number; int32 ``[B, T]``."""
    here = positions(targets, targets.shape[1]) < count
    return namespace(targets).where(here, targets, IGNORE_LABEL)


def compile_decoder(parameters: Mapping[str, Any], binding: Binding) -> Finish:
    """The function that makes labels, and decoder inputs if asked for.

    Raises:
        PolicyError: the vocabulary has no such start token.
    """
    if not parameters["decoder_input_ids"]:
        return lambda targets, count: {"labels": to_labels(targets, count)}
    name, pad = parameters["decoder_start"], pad_id(binding.vocabulary)
    start = pad if name in ("pad", "last") else getattr(binding.vocabulary, f"{name}_id")
    if start is None:
        raise PolicyError(
            f"the tokenizer has no {name} token to start the decoder with; choose another of "
            "pad, bos, eos, cls, sep, last",
            location="policy.decoder_start",
        )

    def finish(targets: Array, count: Array) -> dict[str, Array]:
        xp = namespace(targets)
        width = targets.shape[1]
        first = targets[:, :1] * 0 + start
        if name == "last":
            final = gather(targets, clip(count - 1, 0, width - 1))
            first = xp.where(count > 0, final, pad)
        place = positions(targets, width)
        shifted = xp.where(place == 0, first, shift_right(targets, 1, pad))
        return {
            "labels": to_labels(targets, count),
            "decoder_input_ids": xp.where((place < count) | (place == 0), shifted, pad),
            "decoder_attention_mask": attention(count, width),
        }

    return finish

"""What a masking function gets: rows on a rectangle, and what their token ids mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from premask.masking._backend import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedRows:
    """A batch of rows, each padded on the right to one length. B rows, L positions.

    Attributes:
        input_ids: int32 ``[B, L]``; what stands beyond a row's length is never read.
        lengths: int32 ``[B]``.
        boundaries: int32 ``[B, L]``, bits of `premask.Boundary`.
        keys: int32 ``[B, 2]``, high and low word of each row's seed.
        tracks: int32 ``[B, L]`` each, by name (see `premask._format.TRACKS`).
    """

    input_ids: Array
    lengths: Array
    boundaries: Array
    keys: Array
    tracks: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What token ids mean; all that masking needs of a tokenizer.

    Attributes:
        size: number of ids, added tokens included.
        pad_id, mask_id, bos_id, eos_id, cls_id, sep_id, unk_id: None where there is none.
        special_ids: every id that is no text, sorted, sentinels included.
        sentinel_ids: ``<extra_id_0>``, ``<extra_id_1>``, ... in this order.
        prefix_ids, suffix_ids: what the tokenizer's template puts around a row.
        replacement_ranges: half-open ranges of ordinary ids, those that a random replacement
            may draw: no special, unknown, unused or byte-fallback id.
    """

    size: int
    pad_id: int | None = None
    mask_id: int | None = None
    bos_id: int | None = None
    eos_id: int | None = None
    cls_id: int | None = None
    sep_id: int | None = None
    unk_id: int | None = None
    special_ids: tuple[int, ...] = ()
    sentinel_ids: tuple[int, ...] = ()
    prefix_ids: tuple[int, ...] = ()
    suffix_ids: tuple[int, ...] = ()
    replacement_ranges: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `from_json` turns back into an equal vocabulary."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that `to_json` wrote (in a manifest, say)."""
        fields: dict[str, Any] = {
            name: tuple(tuple(x) if isinstance(x, list) else x for x in item)
            if isinstance(item, (list, tuple))
            else item
            for name, item in value.items()
        }
        return cls(**fields)

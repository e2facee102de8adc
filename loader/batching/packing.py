"""A batch without padding: its rows end to end, with what variable-length attention needs.

B rows of L positions become one sequence of T tokens. Nothing else about them changes, and the
batch still holds the same rows, so masks, order and state are those of padded batches.
"""

from __future__ import annotations

import numpy as np
from premask._errors import RequestError
from premask._format import INPUT_IDS
from premask.batching.devices import Backend, to_device
from premask.masking._backend import Array, is_torch, namespace


def packed(
    batch: dict[str, Array], lengths_B: np.ndarray, *, backend: Backend, device: object
) -> dict[str, Array]:
    """`batch` as one sequence.

    Args:
        batch: arrays ``[B, L]``, one value per token.
        lengths_B: int64 ``[B]``, on the host, so that no device has to be waited for.

    Returns:
        The arrays as ``[1, T]``; `position_ids` ``[1, T]``, which begin again with each row;
        `cu_seqlens` int32 ``[B + 1]``, the borders of the rows; `max_seqlen`, an integer. The
        attention mask, all ones now, is left out.

    Raises:
        RequestError: an array is not one value per token.
    """
    shape = batch[INPUT_IDS].shape
    for name, array in batch.items():
        if array.shape != shape:
            raise RequestError(
                f"{name} has the shape {tuple(array.shape)}, input_ids {tuple(shape)}: only a "
                "policy with one output per token can be packed; use layout='padded'"
            )
    borders = np.concatenate([[0], np.cumsum(lengths_B)])
    place_T = np.arange(borders[-1]) - np.repeat(borders[:-1], lengths_B)
    index_T = np.repeat(np.arange(len(lengths_B)) * shape[1], lengths_B) + place_T
    index = to_device(index_T, backend, device)
    found = {
        name: array.reshape(-1)[index][None]
        for name, array in batch.items()
        if name != "attention_mask"
    }
    place = to_device(place_T.astype(np.int32), backend, device)[None]
    found["position_ids"] = place.long() if is_torch(namespace(place)) else place
    found["cu_seqlens"] = to_device(borders.astype(np.int32), backend, device)
    found["max_seqlen"] = int(lengths_B.max(initial=0))
    return found

"""Overlaps copies and masking with training on CUDA, by a stream of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from premask.batching.assemble import Batch


def copied_ahead(batches: Iterable[Batch], device: Any) -> Iterator[Batch]:
    """Makes `batches` on a side stream of `device`; passes them through where it is None.

    A batch is yielded when its arrays are complete, so any stream may use them at once.
    """
    if device is None:
        yield from batches
        return
    import torch

    stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    iterator = iter(batches)
    while True:
        with torch.cuda.stream(stream):
            batch = next(iterator, None)
        if batch is None:
            return
        # This runs in the prefetching thread, so waiting here holds up nobody.
        stream.synchronize()
        yield batch


def handed_over(batch: Batch, device: Any) -> Batch:
    """`batch`, in the thread that uses it; a no-op where `device` is None.

    Its memory was allocated on the side stream, which would take it back while the consumer's
    kernels still read it, unless it is told who uses it.
    """
    if device is not None:
        import torch

        stream = torch.cuda.current_stream(device)
        for array in batch.values():
            array.record_stream(stream)
    return batch

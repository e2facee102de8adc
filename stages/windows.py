"""Windows of documents: how far a stage looks when it chooses among documents of a unit.

A unit may be larger than memory, so rows that are chosen from many documents are chosen within
windows of whole documents. A window depends on the documents alone, never on batches: it ends
at the first document that fills it, if enough follows for another window; else it ends with the
unit. So none is much smaller than the others, and memory holds two.
"""

from __future__ import annotations

from collections.abc import Iterator

from premask.stages.token_stream import TokenStream

WINDOW_TOKENS = 1 << 21


def windows(
    stream: TokenStream, start: int, is_last: bool, *, least_documents: int = 1
) -> Iterator[tuple[int, int]]:
    """Stretches of whole documents from `start` on that are complete, in order."""
    starts = stream.document_starts
    document = int(starts.searchsorted(start))
    while start < len(stream):
        # The first document that begins a full window's length from here, and not too soon.
        following = int(starts.searchsorted(start + WINDOW_TOKENS))
        following = max(following, document + least_documents)
        rest = len(starts) - following
        if rest >= least_documents and len(stream) - int(starts[following]) >= WINDOW_TOKENS:
            stop = int(starts[following])
            yield start, stop
            start, document = stop, following
        elif is_last:
            yield start, len(stream)
            return
        else:
            return

"""Byte-level BPE through gigatoken (MIT; `pip install premask[gigatoken]`), on single texts.

A block goes to the library as it lies in memory and comes back as flat ids: no Python object
per document. It gives no offsets, so blocks for annotation are left to the cache of pieces. Its
own cache of words grows without bound, by about 12 bytes per byte of text that is all new, so
it is made anew (a third of a second) when the process has grown by `MAX_GROWTH`.
"""

from __future__ import annotations

from pathlib import Path

import awkward
import gigatoken
import numpy as np
from premask.stages.tokens import Int64, Tokens, Uint8

MAX_GROWTH = 1 << 29
RENEW_BYTES = 1 << 26  # of text at least between one making and the next
_STATM = Path("/proc/self/statm")
_PAGE = 4096


class BytePairs:
    """A byte-level BPE tokenizer in gigatoken: a `BlockEncoder`."""

    def __init__(self, content: str) -> None:
        self.name = "gigatoken"
        self.usable = True
        self._content = content
        self._make()

    def _make(self) -> None:
        self._tokenizer = gigatoken.Tokenizer.from_json(self._content)
        self._num_bytes = 0
        self._resident = _resident()

    def encode(self, text: Uint8, splits: Int64, *, with_offsets: bool) -> Tokens | None:
        """The tokens of a block of documents; None where offsets are asked for."""
        if with_offsets:
            return None
        if self._num_bytes > RENEW_BYTES and _resident() - self._resident > MAX_GROWTH:
            self._make()
        self._num_bytes += len(text)
        documents = awkward.contents.ListOffsetArray(
            awkward.index.Index64(splits),
            awkward.contents.NumpyArray(text, parameters={"__array__": "byte"}),
            parameters={"__array__": "bytestring"},
        )
        found = self._tokenizer.encode_batch(awkward.Array(documents), parallel=False).layout
        offsets = np.asarray(found.offsets.data)
        none = np.zeros(0, np.int64)
        return Tokens(
            ids_T=np.asarray(found.content.data)[offsets[0] : offsets[-1]],
            splits=offsets - offsets[0],
            starts_T=none,
            ends_T=none,
        )


def _resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return 0

"""Are ids, word starts and offsets those of the tokenizer, over all the text there is?

Every file of the folders given that holds text (packed or not) goes through each way to encode
that a tokenizer allows, whatever the language, and every document is compared with plain
`tokenizers`. Documents are cut at `--characters`. Exit status 1 and the first texts that differ
if any do. Not a matter of speed; a tokenizer takes about a minute per 20 MB.

    python benchmarks/identity.py --text DIR [--text DIR ...] --tokenizer FILE [FILE ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from premask.stages.encode import encode_plainly
from premask.stages.fast_encoders import PatientPieceCache
from premask.stages.piece_cache import PieceCache
from premask.stages.tokenizer import LoadedTokenizer, load_tokenizer
from premask.stages.tokenizer_text import text_only_column
from premask.stages.tokens import Tokens, buffers

_BATCH = 20


def texts_in(path: Path, characters: int) -> Iterator[str]:
    """A file, unpacked and decoded as UTF-8, in stretches of so many characters."""
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            data = stream.read()
    except (OSError, pa.ArrowInvalid):
        data = path.read_bytes()
    text = data.decode(errors="replace")
    for first in range(0, len(text), characters):
        yield text[first : first + characters]


def batches(paths: list[Path], characters: int, share: int) -> Iterator[pa.Array]:
    held: list[str] = []
    for number, text in enumerate(t for path in paths for t in texts_in(path, characters)):
        if number % share == 0:
            held.append(text)
        if len(held) == _BATCH:
            yield text_only_column(pa.array(held, pa.large_string()))
            held = []
    if held:
        yield text_only_column(pa.array(held, pa.large_string()))


def different(ours: Tokens, plain: Tokens, loaded: LoadedTokenizer) -> list[int]:
    """The documents whose tokens differ in anything."""
    wrong = []
    for document in range(len(plain.splits) - 1):
        a, b = ours.splits[document : document + 2]
        c, d = plain.splits[document : document + 2]
        pairs: list[tuple[Any, Any]] = [(ours.ids_T, plain.ids_T)]
        if len(ours.starts_T):
            pairs += [(ours.starts_T, plain.starts_T), (ours.ends_T, plain.ends_T)]
        same = all(np.array_equal(x[a:b], y[c:d]) for x, y in pairs)
        if same and loaded.word_starts.rule != "word_ids" and d > c:
            first = np.zeros(1, np.int64)
            find = loaded.word_starts.find
            same = np.array_equal(find(ours.ids_T[a:b], first), find(plain.ids_T[c:d], first))
        if not same:
            wrong.append(document)
    return wrong


def sweep(loaded: LoadedTokenizer, paths: list[Path], characters: int, share: int) -> int:
    """Compares all; prints what differs; the number of documents that do."""
    num_bytes = num_documents = num_wrong = 0
    num_taken = 0
    encoders = [
        # Takes any text, however new.
        PieceCache(*encoder.parts, plain_share=1.0)
        if isinstance(encoder, PatientPieceCache)
        else encoder
        for encoder in loaded.fast.encoders
    ]
    for texts in batches(paths, characters, share):
        splits, data = buffers(texts)
        text, block = data[splits[0] : splits[-1]], splits - splits[0]
        plain = encode_plainly(texts.to_pylist(), loaded, with_offsets=True)
        for encoder in encoders:
            for with_offsets in (False, True):
                ours = encoder.encode(text, block, with_offsets=with_offsets)
                if ours is None:
                    continue
                num_taken += len(texts)
                for document in different(ours, plain, loaded):
                    num_wrong += 1
                    told = texts[document].as_py()[:100]
                    print(f"  {encoder.name}: {told!r}", file=sys.stderr)
        num_bytes += pc.sum(pc.binary_length(texts)).as_py()
        num_documents += len(texts)
    print(
        f"  {num_bytes / 1e6:.1f} MB, {num_documents:,} texts, {num_taken:,} comparisons: "
        f"{num_wrong} differ",
        flush=True,
    )
    return num_wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--tokenizer", nargs="+", required=True)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--share", type=int, default=1, help="compare one text in so many")
    arguments = parser.parse_args()
    paths = sorted(f for folder in arguments.text for f in folder.rglob("*") if f.is_file())
    wrong = 0
    for name in arguments.tokenizer:
        loaded = load_tokenizer(name)
        print(f"{name}: {loaded.fast}")
        wrong += sweep(loaded, paths, arguments.characters, arguments.share)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

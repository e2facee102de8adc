"""Normalises the text of documents and drops those that are not worth keeping.

In this order: control characters (carriage returns, vertical tabs, form feeds and U+0085 end
a line and become line feeds; the others go, but for the tab), the Unicode normal form, the part
of the corpus (`premask.stages.split`; documents of the other part are seen no more), the
length. Documents are rejected as `empty` (nothing but white space), `too_short` (fewer than
`min_characters` characters, white space at the ends not counted, or fewer than `min_words`
words), `stub` (one line, with nothing at its end that ends a sentence: a title without its
article) or `duplicate`. A target is cleaned as its text is, and must not be empty.

Done by the column, 1.5 ns per byte. A text is taken out of its column where it may not be in
the normal form that is asked for, and where more is to be asked than its length.

The form ``ftfy`` mends text that was decoded with the wrong encoding, and HTML entities, and
gives NFC; quotation marks, ligatures and widths stay as they are. It costs a second per MB.

A repeat is found by a 128-bit hash of the cleaned text. The first document stays, in the order
of sources, files and positions. Within a unit that is found out in passing; over units it takes
a pass before, see `premask.pipeline.duplicates`, whose verdict is then followed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from premask._errors import RequestError
from premask.schemas.job import Clean, Split
from premask.schemas.records import TARGET
from premask.schemas.unit import Ledger
from premask.stages.clean_columns import surely_have, without_controls
from premask.stages.normal_forms import in_normal_form
from premask.stages.split import own_part

Stage = Callable[[Iterator[pa.RecordBatch], Ledger], Iterator[pa.RecordBatch]]
# (hash of a document, its number among those that got so far) to whether it is a repeat.
IsRepeat = Callable[[bytes, int], bool]
Form = Callable[[pa.LargeStringArray], pa.LargeStringArray]

_ENDS = tuple(".!?…:;。！？｡।॥؟۔")
_CLOSERS = "\"'”’»›)]}」』）】"


def clean_documents(
    options: Clean, is_repeat: IsRepeat | None = None, split: Split | None = None
) -> Stage:
    """A stage that cleans batches of the schema `DOCUMENTS` as the options say.

    Args:
        is_repeat: asked about every document with `drop_duplicates`; None finds repeats within
            the unit.
        split: the part that is kept; None keeps everything.

    Raises:
        RequestError: the options ask for ftfy, which is not installed.
    """
    form = normal_form(options.unicode)

    def run(batches: Iterator[pa.RecordBatch], ledger: Ledger) -> Iterator[pa.RecordBatch]:
        judge = _Judge(options=options, is_repeat=is_repeat or _seen_before())
        for batch in batches:
            cleaned = _normal_batch(batch, options, form)
            if split is not None:
                cleaned = own_part(cleaned, split, ledger)
            cleaned = _judged(cleaned, judge, ledger)
            if cleaned.num_rows:
                yield cleaned

    return run


def follow(repeats: Container[int]) -> IsRepeat:
    """A verdict by numbers, as a pass over all units found it."""
    return lambda _digest, number: number in repeats


def normal_form(name: Literal["none", "NFC", "NFKC", "ftfy"]) -> Form:
    """Takes a column of texts to these texts in a normal form.

    Raises:
        RequestError: ftfy is asked for and not installed.
    """
    if name == "none":
        return lambda texts: texts
    if name != "ftfy":
        return partial(in_normal_form, name=name)
    try:
        import ftfy
    except ImportError as error:
        raise RequestError(
            "ftfy is not installed; install it with pip install ftfy, or choose NFC",
            location="clean.unicode",
        ) from error
    settings = ftfy.TextFixerConfig(
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        remove_terminal_escapes=False,
        remove_control_chars=False,
        fix_line_breaks=False,
        explain=False,
    )
    return lambda texts: pa.array(
        [ftfy.fix_text(text, settings) for text in texts.to_pylist()], pa.large_string()
    )


def _seen_before() -> IsRepeat:
    seen: set[bytes] = set()

    def is_repeat(digest: bytes, _number: int) -> bool:
        known = digest in seen
        seen.add(digest)
        return known

    return is_repeat


def _normal_batch(batch: pa.RecordBatch, options: Clean, form: Form) -> pa.RecordBatch:
    for name in _text_names(batch):
        column = _normal_column(batch.column(name), options, form)
        index = batch.schema.get_field_index(name)
        batch = batch.set_column(index, batch.schema.field(index), column)
    return batch


def _text_names(batch: pa.RecordBatch) -> list[str]:
    return [name for name in ("text", TARGET) if name in batch.schema.names]


def _judged(batch: pa.RecordBatch, judge: _Judge, ledger: Ledger) -> pa.RecordBatch:
    """The documents that stay; the ledger is told of the others."""
    columns = [batch.column(name) for name in _text_names(batch)]
    keep_D = judge.keeps_surely(columns)
    if keep_D.all():
        return batch
    for row in np.flatnonzero(~keep_D).tolist():
        texts = [column[row].as_py() for column in columns]
        reason, detail = judge.refusal(*texts)
        keep_D[row] = not reason
        if reason:
            ledger.reject(
                document_id=batch.column("document_id")[row].as_py(),
                position=batch.column("position")[row].as_py(),
                stage="clean",
                reason=reason,
                detail=detail,
            )
    return batch if keep_D.all() else batch.filter(pa.array(keep_D))


def _normal_column(
    texts: pa.LargeStringArray, options: Clean, form: Form
) -> pa.LargeStringArray:
    """A column in the form asked for."""
    if options.control_characters == "drop":
        texts = without_controls(texts)
    return form(texts)


@dataclass(slots=True, kw_only=True)
class _Judge:
    """Says why a document is rejected. Counts those that are asked about as repeats."""

    options: Clean
    is_repeat: IsRepeat
    number: int = field(default=0)

    def keeps_surely(self, columns: Sequence[pa.LargeStringArray]) -> npt.NDArray[np.bool_]:
        """Documents that `refusal` would keep, seen without taking them out of the column."""
        options = self.options
        if options.min_words or options.drop_stubs or options.drop_duplicates:
            return np.zeros(len(columns[0]), np.bool_)
        text, *targets = columns
        keep_D = surely_have(text, max(options.min_characters, 1))
        for target in targets:
            keep_D &= surely_have(target, 1)
        return keep_D

    def refusal(self, text: str, target: str | None = None) -> tuple[str, str]:
        """The reason and details; empty where the document stays."""
        options, stripped = self.options, text.strip()
        if not stripped or (target is not None and not target.strip()):
            what = "target" if stripped else "document"
            return "empty", f"the {what} holds nothing but white space"
        if len(stripped) < options.min_characters:
            asked = f"at least {options.min_characters} are asked"
            return "too_short", f"{len(stripped)} characters, {asked}"
        words = len(text.split(None, options.min_words)) if options.min_words else 0
        if words < options.min_words:
            return "too_short", f"{words} words, at least {options.min_words} are asked"
        if options.drop_stubs and is_stub(stripped):
            return "stub", "one line that ends no sentence"
        if options.drop_duplicates and self._repeats(text, target):
            return "duplicate", "the same text came before"
        return "", ""

    def _repeats(self, text: str, target: str | None) -> bool:
        digest = xxhash.xxh3_128(text.encode())
        if target is not None:
            digest.update(b"\0")
            digest.update(target.encode())
        self.number += 1
        return self.is_repeat(digest.digest(), self.number - 1)


def is_stub(stripped: str) -> bool:
    """Whether a text without white space around it is a title and nothing else."""
    return "\n" not in stripped and not stripped.rstrip(_CLOSERS).endswith(_ENDS)

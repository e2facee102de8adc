"""JSON lines as columns, parsed by Arrow, where that gives what Python's parser gives.

Arrow reads ten times as fast and makes no Python object per document, but knows no single bad
line: a block with anything unusual in it is given back to be read line by line. Unusual are

* invalid UTF-8, lone surrogates, duplicate keys, fields of another type than asked for;
* a line that does not begin with ``{`` and end with ``}``, or a number of records other than
  the number of lines. Where both agree every line is one object: no line can go on an object
  that the line before left open, since after a ``}`` JSON wants no ``{``;
* a line with `MOST_BRACKETS` brackets, which Python's parser may find nested too deeply.

Lines without a text are told apart: `premask.stages.read.jsonl` knows the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

# Shapes: L lines that are not empty.
Int64 = npt.NDArray[np.int64]

MOST_BRACKETS = 500
_BRACE_BIT = np.uint8(ord("{") ^ ord("["))  # all that tells the one from the other
_MOST_FAILURES = 8  # blocks in a row: no use in parsing all of them twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The lines of a block.

    Attributes:
        starts_L, stops_L: where each stands in the block, line end not included.
        ids: large strings; null for none.
        texts: large strings for each field asked for; null where a line lacks it.
        exact: whether each line is as Python's parser has it; others must be read by it.
    """

    starts_L: Int64
    stops_L: Int64
    ids: pa.Array
    texts: tuple[pa.Array, ...]
    exact: pa.Array


class ColumnParser:
    """Parses the blocks of one unit.

    Args:
        id_field, text_fields: names of fields, not paths.
    """

    def __init__(self, id_field: str, text_fields: Sequence[str]) -> None:
        self._names = (id_field, *text_fields)
        self._id_types = [pa.large_string(), pa.int64()]  # the one that fitted last comes first
        self._failures = 0

    def parse(self, data: bytes) -> Columns | None:
        """The columns of a block of whole lines; None where it must be read line by line."""
        if self._failures >= _MOST_FAILURES:
            return None
        found = self._parse(data)
        self._failures = 0 if found is not None else self._failures + 1
        return found

    def _parse(self, data: bytes) -> Columns | None:
        starts_L, stops_L = _lines(data)
        if not len(starts_L) or not _is_plain(data, starts_L, stops_L):
            return None
        table = self._table(data)
        if table is None or table.num_rows != len(starts_L):
            return None
        ids, *texts = (_whole(column) for column in table.columns)
        exact = pc.is_valid(texts[0])
        for other in texts[1:]:
            exact = pc.and_(exact, pc.is_valid(other))
        if pa.types.is_integer(ids.type):  # of -0 the sign is lost
            exact = pc.and_(exact, pc.fill_null(pc.not_equal(ids, 0), True))
        return Columns(
            starts_L=starts_L,
            stops_L=stops_L,
            ids=ids.cast(pa.large_string()),
            texts=tuple(texts),
            exact=exact,
        )

    def _table(self, data: bytes) -> pa.Table | None:
        for kind in tuple(self._id_types):
            types = (kind, *(pa.large_string() for _ in self._names[1:]))
            schema = pa.schema(list(zip(self._names, types, strict=True)))
            try:
                table = arrow_json.read_json(
                    pa.BufferReader(data),
                    read_options=arrow_json.ReadOptions(
                        use_threads=False, block_size=len(data) + 1
                    ),
                    parse_options=arrow_json.ParseOptions(
                        explicit_schema=schema, unexpected_field_behavior="ignore"
                    ),
                )
            except pa.ArrowInvalid:
                continue
            self._id_types.sort(key=lambda other: other != kind)
            return table
        return None


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Its only chunk as it is: `combine_chunks` would copy that, too."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _lines(data: bytes) -> tuple[Int64, Int64]:
    """Where the lines that are not empty begin, and where they end."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    starts = np.append(0, ends + 1)
    stops = np.append(ends, len(data))
    used = starts < stops
    return starts[used], stops[used]


def _is_plain(data: bytes, starts_L: Int64, stops_L: Int64) -> bool:
    """Whether every line looks like an object that is not too deep, in valid UTF-8."""
    view = np.frombuffer(data, np.uint8)
    last_L = stops_L - 1
    last_L = last_L - ((view[last_L] == ord("\r")) & (last_L > starts_L))
    if not np.all((view[starts_L] == ord("{")) & (view[last_L] == ord("}"))):
        return False
    is_bracket = (view | _BRACE_BIT) == ord("{")
    if np.count_nonzero(is_bracket) >= MOST_BRACKETS + len(starts_L) - 1:
        line = np.searchsorted(starts_L, np.flatnonzero(is_bracket), side="right") - 1
        if np.bincount(line).max() >= MOST_BRACKETS:
            return False
    try:
        return data.isascii() or bool(data.decode("utf-8"))
    except UnicodeDecodeError:
        return False

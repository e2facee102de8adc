"""Reads the few numbers of a Parquet footer that planning needs, and trusts none of them.

pyarrow has no way to ask for a column's size that cannot end the process: an exception that its
metadata objects raise over a damaged footer (`ColumnChunkMetaData`) is caught by nobody. The
footer is a structure in Thrift's compact protocol
(https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift); what is
read here are its row groups, their rows, and path and decoded size of their columns. Costs
about 15 µs per row group and column.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO

_MAGIC = b"PAR1"
_TAIL_BYTES = 8
_MAX_DEPTH = 32
# Types of the compact protocol.
_TRUE, _FALSE, _BYTE = 1, 2, 3
_DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
# Numbers of the fields, as `parquet.thrift` has them.
_ROW_GROUPS = 4
_COLUMNS, _NUM_ROWS = 1, 3
_METADATA = 3
_PATH, _UNCOMPRESSED_SIZE = 3, 6


class DamagedFooter(ValueError):
    """The end of the file is no Parquet footer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A row group: its rows, and the decoded bytes of each column by its dotted path."""

    num_rows: int
    column_bytes: dict[str, int]


def read_footer(file: BinaryIO) -> list[RowGroup]:
    """The row groups of a Parquet file.

    Raises:
        DamagedFooter: it has no footer that can be read.
        OSError: the file cannot be read.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL_BYTES, 0))
    tail = file.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - _TAIL_BYTES:
        raise DamagedFooter("the file does not end in a Parquet footer")
    file.seek(size - _TAIL_BYTES - length)
    try:
        footer = _Compact(file.read(length)).struct()
        return [_row_group(group) for group in footer.get(_ROW_GROUPS, [])]
    except (IndexError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFooter(f"the Parquet footer is damaged ({error!r})") from error


def _row_group(group: dict[int, Any]) -> RowGroup:
    num_bytes: dict[str, int] = {}
    for column in group[_COLUMNS]:
        metadata = column.get(_METADATA)
        if metadata is not None:  # an encrypted column has none
            path = b".".join(metadata[_PATH]).decode("utf-8", "replace")
            num_bytes[path] = num_bytes.get(path, 0) + max(metadata[_UNCOMPRESSED_SIZE] + 0, 0)
    return RowGroup(num_rows=max(group[_NUM_ROWS] + 0, 0), column_bytes=num_bytes)


class _Compact:
    """A reader of Thrift's compact protocol: structures become dictionaries by field number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        if depth > _MAX_DEPTH:
            raise DamagedFooter("the Parquet footer is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self._integer()
            fields[number] = self._value(kind, depth) if kind > _FALSE else kind == _TRUE
        return fields

    def _byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise DamagedFooter("a number of the Parquet footer is too long")

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _skip(self, length: int) -> bytes:
        start = self._place
        self._place += length
        if self._place > len(self._data):
            raise DamagedFooter("the Parquet footer is cut off")
        return self._data[start : self._place]

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind == _DOUBLE:
            return self._skip(8)
        if kind in (_TRUE, _FALSE, _BYTE):  # as an element of a list
            return self._byte()
        raise DamagedFooter(f"the Parquet footer holds a value of an unknown type, {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < 15 else self._varint()
        if depth > _MAX_DEPTH or length > len(self._data) - self._place:
            raise DamagedFooter("a list of the Parquet footer is longer than the footer")
        return [self._value(head & 15, depth) for _ in range(length)]

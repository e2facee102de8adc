"""How the columns of a shard are stored: the Arrow types they may have, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from premask._errors import FormatError

# How a column is stored: lists of numbers, one number per row, or text.
LIST, NUMBER, TEXT = "list", "number", "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The storage of one column: its kind and the NumPy type of its numbers."""

    kind: str
    dtype: np.dtype


def layouts(schema: pa.Schema, *, location: str) -> dict[str, Layout]:
    """How every column of `schema` is stored.

    Raises:
        FormatError: a column has a type that no shard has.
    """
    found = {}
    for column in schema:
        arrow = column.type
        if pa.types.is_string(arrow):
            found[column.name] = Layout(kind=TEXT, dtype=np.dtype(np.uint8))
        elif pa.types.is_integer(arrow):
            dtype = np.dtype(arrow.to_pandas_dtype())
            found[column.name] = Layout(kind=NUMBER, dtype=dtype)
        elif _is_list(arrow) and pa.types.is_integer(arrow.value_type):
            dtype = np.dtype(arrow.value_type.to_pandas_dtype())
            found[column.name] = Layout(kind=LIST, dtype=dtype)
        else:
            raise FormatError(
                f"column {column.name!r} has type {arrow}; a shard's columns are lists of "
                "integers, integers and strings",
                location=location,
            )
    return found


def _is_list(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_list(arrow) or pa.types.is_fixed_size_list(arrow))

"""How a job turns documents into rows; see `premask.stages.arrange` for what each way does."""

from __future__ import annotations

from typing import Any, Literal, get_args

from premask.schemas.model import Model
from pydantic import Field, ValidationInfo, field_validator

Arrangement = Literal[
    "full",
    "documents",
    "lines",
    "sentences",
    "document_sentences",
    "segment_pairs",
    "sentence_order",
    "pairs",
]
# Arrangements that look at where sentences begin.
OF_SENTENCES = ("sentences", "document_sentences", "segment_pairs", "sentence_order")
# Arrangements whose rows hold one document, so that packing can put several into a row.
PACKABLE = ("documents", "lines", "document_sentences")


class FillInMiddle(Model):
    """Fill in the middle at write time: documents are cut between characters, as published."""

    rate: float = Field(0.5, gt=0, le=1, description="share of documents that are rearranged")
    suffix_first: float = Field(
        0.5, ge=0, le=1, description="share of these whose suffix stands before their prefix"
    )
    sentinels: tuple[str, str, str] = Field(
        ("<extra_id_0>", "<extra_id_1>", "<extra_id_2>"),
        description="tokens before the prefix, the suffix and the middle",
    )


class Rows(Model):
    """How token streams become rows."""

    arrangement: Arrangement = Field(
        "full",
        description="full: documents concatenated; documents: windows of one document; lines: "
        "one line each; sentences, document_sentences: whole sentences, over documents or in "
        "one (RoBERTa); segment_pairs: next sentence or not (BERT); sentence_order: two "
        "segments in order or swapped (ALBERT); pairs: a source and its target",
    )
    packing: Literal["none", "in_order", "best_fit"] = Field(
        "none",
        description="documents, lines, document_sentences: whether several share a row; "
        "best_fit pads least. None is cut for it",
    )
    max_length: int = Field(
        512, ge=8, le=65536, description="tokens per row, specials included"
    )
    target_length: int | None = Field(
        None,
        ge=4,
        description="pairs: of these, tokens for the target; default: half of max_length",
    )
    overflow: Literal["truncate", "reject"] = Field(
        "truncate", description="pairs: what is done to a source or target that is too long"
    )
    min_length: int = Field(
        1, ge=1, description="rows with fewer text tokens are dropped, and counted"
    )
    stride: int = Field(0, ge=0, description="documents: tokens that two windows share")
    short_row_probability: float = Field(
        0.0, ge=0, le=1, description="share of rows cut at a random shorter length, as in BERT"
    )
    dupe_factor: int = Field(
        1,
        ge=1,
        le=1000,
        description="copies of every row with other seeds; segments, and short rows, are drawn "
        "anew for each",
    )
    fill_in_middle: FillInMiddle | None = Field(
        None, description="full, documents: rearrange documents for filling in the middle"
    )

    @field_validator("packing")
    @classmethod
    def _packing_needs_rows_of_one_document(cls, value: str, info: ValidationInfo) -> str:
        if value != "none":
            _require(info, PACKABLE, f"packing {value}")
        return value

    @field_validator("target_length")
    @classmethod
    def _target_leaves_room(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is None:
            return value
        _require(info, ("pairs",), f"a target_length of {value}")
        max_length = info.data.get("max_length")
        if max_length is not None and value > max_length - 4:
            raise ValueError(
                f"must leave 4 tokens or more of max_length {max_length} to the source, got "
                f"{value}; lower it or raise rows.max_length"
            )
        return value

    @field_validator("overflow")
    @classmethod
    def _only_pairs_overflow(cls, value: str, info: ValidationInfo) -> str:
        if value != "truncate":
            _require(info, ("pairs",), f"overflow {value}")
        return value

    @field_validator("min_length")
    @classmethod
    def _row_can_be_long_enough(cls, value: int, info: ValidationInfo) -> int:
        max_length = info.data.get("max_length")
        if max_length is not None and value > max_length - 2:
            raise ValueError(
                f"must be at most max_length - 2 = {max_length - 2} (two special tokens), "
                f"got {value}; lower it or raise rows.max_length"
            )
        return value

    @field_validator("stride")
    @classmethod
    def _windows_advance(cls, value: int, info: ValidationInfo) -> int:
        max_length = info.data.get("max_length")
        if value:
            _require(info, ("documents",), f"a stride of {value}")
            _refuse_packing(info, f"a stride of {value}")
        if max_length is not None and value and value >= max_length - 2:
            raise ValueError(
                f"must be below max_length - 2 = {max_length - 2}, got {value}; "
                "a window must advance"
            )
        return value

    @field_validator("short_row_probability")
    @classmethod
    def _rows_have_a_length_to_shorten(cls, value: float, info: ValidationInfo) -> float:
        if value:
            allowed = tuple(x for x in get_args(Arrangement) if x not in ("pairs", "lines"))
            _require(info, allowed, f"a short_row_probability of {value}")
            _refuse_packing(info, f"a short_row_probability of {value}")
        return value

    @field_validator("fill_in_middle")
    @classmethod
    def _documents_stay_whole(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None:
            _require(info, ("full", "documents"), "fill_in_middle")
        return value


def _require(info: ValidationInfo, allowed: tuple[str, ...], what: str) -> None:
    found = info.data.get("arrangement")
    if found is not None and found not in allowed:
        names = " or ".join([", ".join(allowed[:-1]), allowed[-1]] if allowed[1:] else allowed)
        raise ValueError(f"{what} needs rows.arrangement: {names}, got {found}")


def _refuse_packing(info: ValidationInfo, what: str) -> None:
    found = info.data.get("packing", "none")
    if found != "none":
        raise ValueError(f"{what} needs rows.packing: none, got {found}")

"""Which documents are held out: a matter of their text alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from premask.schemas.job import Clean, Split
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.clean import clean_documents
from premask.stages.split import held_out

TEXTS = [f"This is document {number}." for number in range(20_000)]


def sides(texts: Sequence[str], share: float) -> npt.NDArray[np.bool_]:
    return held_out(pa.array(texts, pa.large_string()), share)


def cleaned(texts: Sequence[str], split: Split, **options: bool) -> tuple[list[str], Ledger]:
    """The texts that stay, in batches of three, and the ledger."""
    ledger = Ledger(unit="a:0", documents_read=len(texts))
    rows = [{"document_id": f"d{i}", "position": i, "text": t} for i, t in enumerate(texts)]
    batches = (
        pa.RecordBatch.from_pylist(rows[start : start + 3], schema=DOCUMENTS)
        for start in range(0, len(rows), 3)
    )
    stage = clean_documents(Clean.model_validate(options), split=split)
    kept = [text for batch in stage(batches, ledger) for text in batch["text"].to_pylist()]
    return kept, ledger


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.5, 0.99])
def test_the_share_is_that_asked_for_within_chance(share: float) -> None:
    error = (share * (1 - share) / len(TEXTS)) ** 0.5
    assert abs(sides(TEXTS, share).mean() - share) < 5 * error


def test_the_side_of_a_text_never_changes() -> None:
    # Pinned: a set that is built again years later must hold out the same documents.
    assert np.flatnonzero(sides(TEXTS[:600], 0.01)).tolist() == [424, 596]
    assert sides(["", "a", "é", "a" * 999], 0.4).tolist() == [True, False, False, True]


@given(st.lists(st.text(max_size=300)), st.lists(st.text(max_size=5)), st.integers(0, 3))
def test_the_side_of_a_text_does_not_depend_on_the_others(
    texts: list[str], others: list[str], skipped: int
) -> None:
    whole = pa.array([*others, *texts], pa.large_string())
    alone = [bool(sides([text], 0.4)[0]) for text in texts]
    assert held_out(whole.slice(len(others)), 0.4).tolist() == alone
    assert held_out(whole, 0.4)[len(others) :].tolist() == alone
    assert sides(texts[skipped:], 0.4).tolist() == alone[skipped:]


@pytest.mark.parametrize(("share", "larger"), [(1e-3, 2e-3), (0.1, 0.5), (0.5, 1 - 2**-53)])
def test_a_larger_share_holds_out_more_and_the_same(share: float, larger: float) -> None:
    few, many = sides(TEXTS, share), sides(TEXTS, larger)
    assert few.sum() < many.sum()
    assert many[few].all()


def test_the_cleaned_text_decides() -> None:
    texts = [f"{number}\r\nx" for number in range(50)] + [f"{n}\nx\x00" for n in range(50)]
    kept, _ = cleaned(texts, Split(heldout=0.5, part="heldout"))
    half = len(kept) // 2
    assert 10 < half < 40
    assert kept[:half] == kept[half:]


@pytest.mark.parametrize("repeats", [False, True])
def test_two_parts_share_out_kept_and_rejected_documents(repeats: bool) -> None:
    texts = [f"{number % 70} words." for number in range(100)] + ["", " ", "\n"]
    parts = [
        cleaned(texts, Split(heldout=0.3, part=part), drop_duplicates=repeats)
        for part in ("train", "heldout")
    ]
    (train, first), (heldout, second) = parts
    assert train
    assert heldout
    assert not set(train) & set(heldout)
    assert len(train) + len(heldout) == (70 if repeats else 100)
    assert first.documents_read + second.documents_read == len(texts)
    for (kept, ledger), (_, other) in zip(parts, reversed(parts), strict=True):
        assert ledger.documents_kept == len(kept)
        assert ledger.counters == {"other_part": other.documents_read}

from __future__ import annotations

import random

import pytest
from premask.stages.annotate_text import (
    MAX_PIECE_CHARACTERS,
    MAX_RUN_CHARACTERS,
    Slice,
    pieces,
    unspaced_runs,
)


def cut(text: str) -> list[str]:
    return [text[part.start : part.end] for part in pieces(text, unspaced_runs(text))]


def test_a_short_text_is_one_piece() -> None:
    assert cut("One. Two.\n\nThree.") == ["One. Two.\n\nThree."]


def test_an_empty_text_has_no_piece() -> None:
    assert cut("") == []


@pytest.mark.parametrize("border", ["\n\n", "\n", ". ", " ", "。"])
def test_a_long_text_is_cut_behind_the_best_border(border: str) -> None:
    unit = "x" * 60 + border if border == "。" else "abc def" * 9 + border
    text = unit * 2000
    parts = list(pieces(text, []))
    assert len(parts) > 3
    assert all(text[: part.end].endswith(border) for part in parts)


def test_paragraphs_are_preferred_to_lines_and_sentences() -> None:
    text = "One. Two.\n" * 1500 + "\n" + "One. Two.\n" * 1500
    assert cut(text)[0] == "One. Two.\n" * 1500 + "\n"


def test_text_without_any_border_is_cut_at_the_limit() -> None:
    parts = list(pieces("x" * 50_000, []))
    assert [part.end - part.start for part in parts] == [20_000, 20_000, 10_000]


def test_unspaced_runs_are_left_out() -> None:
    run = "(" * MAX_RUN_CHARACTERS
    text = f"before {run} behind"
    assert unspaced_runs(text) == [Slice(7, 7 + MAX_RUN_CHARACTERS)]
    assert cut(text) == ["before ", " behind"]
    assert unspaced_runs(f"before {run[1:]} behind") == []


@pytest.mark.parametrize("seed", range(5))
def test_pieces_and_runs_are_the_whole_text(seed: int) -> None:
    rng = random.Random(seed)
    parts = ["word ", "Sentence. ", "\n\n", "x" * 300, "長い。", "line\n"]
    text = "".join(rng.choices(parts, [50, 10, 1, 1, 5, 5], k=20_000))
    runs = unspaced_runs(text)
    slices = sorted([*pieces(text, runs), *runs], key=lambda part: part.start)
    assert "".join(text[part.start : part.end] for part in slices) == text
    assert all(0 < x.end - x.start <= MAX_PIECE_CHARACTERS for x in pieces(text, runs))

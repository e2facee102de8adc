"""Defects measured in other pre-training pipelines, each with the tests that hold it off here.

The numbers are those of the survey ``shared/reference/peers.md``. `PINNED` leads from a defect
to tests elsewhere; what no other test looks at is tested below.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask._errors import RequestError
from premask.pipeline.commands.summary import summary
from premask.schemas.job import Job

from tests.pipeline.conftest import corpus as corpus
from tests.pipeline.conftest import make_job as make_job
from tests.pipeline.conftest import tokenizer_file as tokenizer_file
from tests.pipeline.conftest import values as values
from tests.pipeline.sets import run_build

TESTS = Path(__file__).resolve().parent
MakeJob = Callable[..., Job]

PINNED: dict[str, tuple[str, tuple[str, ...]]] = {
    "P1": ("rows share seeds", ("masking/test_pitfalls.py::test_pitfall_1_",)),
    "P2": ("a row evaluated twice differs", ("masking/test_pitfalls.py::test_pitfall_2_",)),
    "P3": ("seed + row keys repeat", ("masking/test_pitfalls.py::test_pitfall_3_",)),
    "P4": ("a global generator", ("masking/test_pitfalls.py::test_pitfalls_2_4_and_6_",)),
    "P5": (
        "the same seed gives other rows",
        (
            "pipeline/test_build.py::test_two_builds_write_the_same_bytes",
            "pipeline/test_engines.py::test_ray_builds_the_bytes_of_the_local_engine",
        ),
    ),
    "P6": (
        "all ranks mask the same positions",
        (
            "masking/test_pitfalls.py::test_pitfalls_2_4_and_6_",
            "loader/test_known_defects.py::test_both_ranks_of_a_default_trainer_",
        ),
    ),
    "P7": (
        "special tokens are masked, random ids depend on the batch",
        (
            "masking/test_pitfalls.py::test_pitfalls_7_and_8_",
            "masking/test_pitfalls.py::test_pitfall_7_",
        ),
    ),
    "P8": ("ends of a row are targets", ("masking/test_pitfalls.py::test_pitfalls_7_and_8_",)),
    "P9": (
        "random tokens are special ones",
        (
            "masking/test_pitfalls.py::test_pitfall_9_",
            "masking/test_pitfalls.py::test_quirk_1_",
        ),
    ),
    "P10": ("a word reaches over a segment", ("masking/test_units.py::test_pitfall_10_",)),
    "P11": ("a span straddles a separator", ("masking/test_units.py::test_pitfall_11_",)),
    "P12": ("long words are spared", ("masking/test_units.py::test_pitfall_12_",)),
    "P13": ("a word stays half visible", ("masking/test_units.py::test_pitfall_13_",)),
    "P14": ("short rows get a higher rate", ("masking/test_budget.py::test_pitfall_14_",)),
    "P15": (
        "short rows have even lengths alone",
        ("stages/test_arrange.py::test_short_lengths_are_uniform_over_all_lengths",),
    ),
    "P16": ("rows without a mask", ("masking/test_budget.py::test_pitfall_16_",)),
    "P17": (
        "documents with a long sentence are dropped",
        (
            "stages/test_segments.py::test_sentences_longer_than_a_row_are_not_lost",
            "stages/test_segments.py::test_no_token_of_segments_is_lost_in_silence",
            "pipeline/test_build.py::test_a_build_accounts_for_every_document",
        ),
    ),
    "P18": (
        "a second run takes over stale files",
        (
            "pipeline/test_build.py::test_a_changed_file_is_refused_by_name",
            "pipeline/test_build.py::test_a_changed_job_is_refused_by_field",
        ),
    ),
    "P20": (
        "next-sentence labels are wrong",
        (
            "stages/test_segments.py::test_labels_are_true_by_construction",
            "stages/test_segments.py::test_a_corpus_of_one_document_has_no_random_second",
        ),
    ),
    "P21": ("no entities, no end", ("masking/test_degenerate.py::test_pitfall_21_",)),
    "P22": ("the last token is always noise", ("masking/test_pitfalls.py::test_pitfall_22_",)),
    "P23": (
        "a literal [MASK] becomes the special token",
        (
            "stages/test_tokenizer.py::test_no_text_becomes_a_special_token",
            "stages/test_chain.py::test_a_hostile_text_gives_no_special_token_inside_a_row",
        ),
    ),
    "P24": (
        "a masking option crashes",
        (
            "pipeline/test_show.py::test_every_preset_is_shown_with_inputs_beside_targets",
            "test_laws.py::test_law_1_static_equals_dynamic",
        ),
    ),
    "P26": (
        "inputs are gone before outputs exist",
        ("pipeline/test_kill.py::test_a_killed_driver_is_resumed_to_the_same_bytes",),
    ),
    "P27": (
        "sentences need a download",
        ("stages/test_sentence_rules.py::test_english_sentences",),
    ),
    "P28": (
        "masks depend on packing, tails are dropped",
        (
            "test_laws.py::test_law_3_placement_never_matters",
            "loader/test_layouts.py::test_a_packed_batch_holds_the_rows_of_the_padded_one",
            "stages/test_arrange.py::test_full_rows_hold_every_token_once_and_in_order",
        ),
    ),
    "P29": (
        "pieces are told by their spelling",
        ("stages/test_tokenizer.py::test_wordpiece_words_are_the_pre_tokenizers_own",),
    ),
}
HERE = {"P19", "P25"}


@cache
def names_in(file: str) -> tuple[str, ...]:
    """The test functions of a file."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    functions = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return tuple(name for name in functions if name.startswith("test_"))


def test_no_defect_is_left_out() -> None:
    assert set(PINNED) | HERE == {f"P{number}" for number in range(1, 30)}


@pytest.mark.parametrize("number", PINNED)
def test_the_tests_that_hold_a_defect_off_exist(number: str) -> None:
    for reference in PINNED[number][1]:
        file, _, start = reference.partition("::")
        assert [name for name in names_in(file) if name.startswith(start)], reference


# P19: equal shards, no workers, and options used twice crash a loader.


@pytest.mark.parametrize("num_workers", [0, 1])
def test_options_of_a_loader_can_be_used_twice(make_job: MakeJob, num_workers: int) -> None:
    from premask.torch_data import data_loader

    run_build(make_job())
    shards = premask.open_shards(make_job().output)
    options: dict[str, Any] = {"policy": "random", "batch_size": 8, "rank": 0, "world_size": 1}
    kept = dict(options)
    first, second = (
        data_loader(premask.Loader(shards, **options), num_workers=num_workers)
        for _ in range(2)
    )
    assert options == kept
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one["input_ids"], other["input_ids"])


def test_shards_of_equally_many_rows_are_read(make_job: MakeJob, tmp_path: Path) -> None:
    folder = tmp_path / "equal"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(f"{name} cat sat near the old bridge. " * 200)
    job = make_job(sources=[{"path": str(folder)}], unit_bytes=100)
    built, _ = run_build(job)
    assert (
        len({shard.num_rows for shard in built.manifest.shards})
        == 1
        < len(built.manifest.shards)
    )
    loader = premask.Loader(
        job.output, policy="random", batch_size=1, rank=0, world_size=1, backend="numpy"
    )
    assert len(list(loader)) == built.manifest.num_rows


# P25: a tokenizer that knows none of the text is used without a word.


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Text in a script that the tokenizer has never seen."""
    path = tmp_path / "foreign.txt"
    path.write_text("Москва стоит на реке, и река течёт мимо старого моста. " * 40)
    return path


def test_a_tokenizer_that_does_not_know_the_text_is_refused(
    make_job: MakeJob, foreign: Path
) -> None:
    job = make_job(sources=[{"path": str(foreign)}])
    with pytest.raises(RequestError, match=r"does not know this text: 92% .*\[UNK\].*max_un"):
        run_build(job)
    assert not (Path(job.output) / "manifest.json").exists()


def test_unknown_text_can_be_built_on_purpose_and_is_told(
    make_job: MakeJob, foreign: Path
) -> None:
    built, _ = run_build(make_job(sources=[{"path": str(foreign)}], max_unknown=1))
    counters = built.manifest.totals["counters"]
    assert counters["unknown_tokens"] > built.manifest.num_tokens / 2
    assert "of the tokens are unknown ones" in summary(built)


def test_a_few_foreign_documents_are_no_reason_to_refuse(
    make_job: MakeJob, foreign: Path, corpus: Path
) -> None:
    sources = [{"path": str(corpus)}, {"path": str(foreign)}]
    built, _ = run_build(make_job(sources=sources))
    assert built.manifest.totals["documents_kept"] == 4

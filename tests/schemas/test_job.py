"""The job: what it accepts, what shapes the output, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from premask.schemas.job import Job
from pydantic import ValidationError


def job(**values: Any) -> Job:
    base = {"sources": [{"path": "a.txt"}], "output": "out", "tokenizer": "t.json"}
    return Job.model_validate({**base, **values})


def place(**values: Any) -> tuple[str, str]:
    """Path and message of the only finding."""
    with pytest.raises(ValidationError) as caught:
        job(**values)
    (finding,) = caught.value.errors()
    return ".".join(map(str, finding["loc"])), finding["msg"]


def test_the_least_job_has_defaults() -> None:
    found = job()
    assert found.rows.max_length == 512
    assert found.engine == "local"
    assert found.annotate is None


@pytest.mark.parametrize(
    ("text", "expected"), [("32MiB", 32 << 20), ("1 GB", 10**9), (4096, 4096), ("1.5KiB", 1536)]
)
def test_sizes_may_carry_a_unit(text: str | int, expected: int) -> None:
    assert job(unit_bytes=text).unit_bytes == expected


def test_a_size_without_meaning_is_refused() -> None:
    assert place(unit_bytes="many")[0] == "unit_bytes"


def test_an_unknown_key_is_refused() -> None:
    assert place(rows={"max_lenght": 3})[0] == "rows.max_lenght"


def test_rows_must_hold_their_minimum() -> None:
    where, message = place(rows={"max_length": 16, "min_length": 15})
    assert where == "rows.min_length"
    assert "at most max_length - 2 = 14" in message


def test_a_stride_belongs_to_documents() -> None:
    assert place(rows={"stride": 4})[0] == "rows.stride"


def test_a_window_must_advance() -> None:
    where, _ = place(rows={"arrangement": "documents", "max_length": 16, "stride": 14})
    assert where == "rows.stride"


def test_static_needs_a_policy() -> None:
    assert place(mode="static")[0] == "policy"


def test_a_policy_needs_static() -> None:
    assert place(policy="random")[0] == "policy"


def test_epochs_need_static() -> None:
    assert place(epochs=3)[0] == "epochs"


def test_static_with_policy_and_epochs_is_legal() -> None:
    assert job(mode="static", policy={"preset": "random"}, epochs=10).epochs == 10


@pytest.mark.parametrize(
    "values",
    [
        {"output": "elsewhere"},
        {"engine": "ray", "workers": 7, "ray_address": "auto"},
        {"unit_timeout": 5, "retries": 9},
        {"mode": "static", "policy": "random", "epochs": 4},
    ],
)
def test_where_and_how_a_job_runs_does_not_shape_it(values: dict[str, Any]) -> None:
    assert job(**values).shaping() == job().shaping()


def test_gpus_do_not_shape_an_annotated_job() -> None:
    assert job(annotate={"gpus": 1}).shaping() == job(annotate={}).shaping()


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 1},
        {"unit_bytes": 1},
        {"tokenizer": "u.json"},
        {"annotate": {}},
        {"rows": {"max_length": 64}},
        {"shards": {"compression": "zstd"}},
        {"clean": {"unicode": "NFC"}},
        {"split": {"heldout": 0.1, "part": "train"}},
        {"sources": [{"path": "b.txt"}]},
    ],
)
def test_everything_else_shapes_it(values: dict[str, Any]) -> None:
    assert job(**values).shaping() != job().shaping()


def test_both_parts_and_every_share_are_jobs_of_their_own() -> None:
    splits = [
        {"heldout": share, "part": part}
        for share in (0.1, 0.2)
        for part in ("train", "heldout")
    ]
    shapes = [str(job(split=split).shaping()) for split in splits]
    assert len(set(shapes)) == 4


def test_a_job_without_a_split_has_the_fingerprint_that_it_had_before_there_was_one() -> None:
    assert "split" not in job().shaping()
    assert job(split=None).shaping() == job().shaping()


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), "much"])
def test_a_share_held_out_lies_between_0_and_1(share: Any) -> None:
    assert place(split={"heldout": share, "part": "train"})[0] == "split.heldout"


def test_a_split_names_its_part() -> None:
    assert place(split={"heldout": 0.1})[0] == "split.part"
    assert place(split={"heldout": 0.1, "part": "test"})[0] == "split.part"
    assert place(split={"part": "train"})[0] == "split.heldout"


RULES = {"pipeline": "premask/rules", "tracks": ["sentences"]}


@pytest.mark.parametrize(
    "arrangement", ["sentences", "document_sentences", "segment_pairs", "sentence_order"]
)
def test_rows_of_sentences_need_to_know_where_they_begin(arrangement: str) -> None:
    where, message = place(rows={"arrangement": arrangement})
    assert where == "rows"
    assert "premask/rules" in message
    assert job(rows={"arrangement": arrangement}, annotate=RULES).annotate is not None


def test_pairs_need_a_target_and_nothing_else_takes_one() -> None:
    targeted = {"path": "a.jsonl", "target_field": "fr"}
    assert place(rows={"arrangement": "pairs"})[0] == "rows"
    assert place(sources=[targeted])[0] == "rows"
    where, message = place(
        sources=[targeted, {"path": "b.jsonl"}], rows={"arrangement": "pairs"}
    )
    assert (where, "sources.1.target_field" in message) == ("rows", True)
    assert job(sources=[targeted], rows={"arrangement": "pairs"}).rows.overflow == "truncate"


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ({"packing": "best_fit"}, "packing"),
        ({"arrangement": "documents", "packing": "best_fit", "stride": 3}, "stride"),
        (
            {"arrangement": "documents", "packing": "in_order", "short_row_probability": 0.1},
            "short_row_probability",
        ),
        ({"arrangement": "lines", "short_row_probability": 0.1}, "short_row_probability"),
        ({"target_length": 9}, "target_length"),
        ({"overflow": "reject"}, "overflow"),
        ({"arrangement": "lines", "fill_in_middle": {}}, "fill_in_middle"),
        ({"dupe_factor": 0}, "dupe_factor"),
    ],
)
def test_options_belong_to_their_arrangements(rows: dict[str, Any], key: str) -> None:
    assert place(rows=rows)[0] == f"rows.{key}"


def test_a_target_must_leave_room_to_the_source() -> None:
    targeted = [{"path": "a.jsonl", "target_field": "fr"}]
    rows = {"arrangement": "pairs", "max_length": 16, "target_length": 13}
    where, message = place(sources=targeted, rows=rows)
    assert where == "rows.target_length"
    assert "leave 4 tokens" in message


def test_packing_and_copies_and_fill_in_the_middle_are_legal() -> None:
    found = job(rows={"arrangement": "documents", "packing": "best_fit", "dupe_factor": 5})
    assert (found.rows.packing, found.rows.dupe_factor) == ("best_fit", 5)
    middle = job(rows={"fill_in_middle": {"rate": 0.9}}).rows.fill_in_middle
    assert middle is not None
    assert middle.sentinels == ("<extra_id_0>", "<extra_id_1>", "<extra_id_2>")


def test_the_number_of_a_column_needs_no_quotation_marks() -> None:
    source = {"path": "a.tsv", "text_field": 1, "target_field": 2}
    found = job(sources=[source], rows={"arrangement": "pairs"}).sources[0]
    assert (found.text_field, found.target_field) == ("1", "2")

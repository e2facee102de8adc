"""Freezing: law 1, static equals dynamic, and the protocol of builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask._errors import PolicyError, RequestError
from premask.pipeline.freeze import freeze, static_policy
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.session import Built
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from tokenizers import Tokenizer

from tests.pipeline.conftest import document
from tests.pipeline.sets import files_of, run_build

MakeJob = Callable[..., Job]
POLICIES: list[dict[str, Any]] = [
    {"preset": "random"},
    {"preset": "roberta"},
    {"preset": "whole_word", "rate": 0.3},
    {"preset": "span"},
    {"preset": "ngram"},
    {"preset": "clm"},
    {"preset": "prefix_lm"},
    {"preset": "span_corruption"},
    {"preset": "denoising", "permute": 0.0},
    {"preset": "mass"},
    {"preset": "replaced_token"},
    {"preset": "fill_in_middle"},
]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, tokenizer_file: Path) -> Path:
    """A dynamic set whose tokenizer has both a mask token and sentinels."""
    root = tmp_path_factory.mktemp("freeze")
    (root / "corpus.txt").write_text("\n\n".join(map(document, range(24))))
    values = {
        "sources": [{"path": str(root / "corpus.txt"), "document": "paragraph"}],
        "output": str(root / "out"),
        "tokenizer": str(root / "tokenizer.json"),
        "unit_bytes": 6000,
        "rows": {"max_length": 48, "arrangement": "documents"},
    }
    job = Job.model_validate(values)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.add_special_tokens(["</s>", *(f"<extra_id_{k}>" for k in range(20))])
    tokenizer.save(str(root / "tokenizer.json"))
    run_build(job)
    return root / "out"


def run(shards: Path, out: Path, policy: Any, *, epochs: int = 2, **options: Any) -> Built:
    return freeze(
        str(shards),
        str(out),
        premask.policy(policy),
        epochs=epochs,
        engine=LocalEngine(),
        reporter=Reporters(reporters=()),
        **options,
    )


def loaded(shards: Path, **options: Any) -> dict[int, Mapping[str, np.ndarray]]:
    """What the loader makes of every row, alone in its batch: row number to arrays."""
    opened = premask.open_shards(shards)
    loader = premask.Loader(opened, batch_size=1, audit=True, shuffle=False, **options)
    return {int(batch["row_ids"][0]): batch for batch in loader}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda value: value["preset"])
def test_static_equals_dynamic(shards: Path, tmp_path: Path, policy: dict[str, Any]) -> None:
    run(shards, tmp_path / "static", policy, epochs=2)
    static = loaded(tmp_path / "static", stored_epochs="all")
    num_rows = len(static) // 2
    for epoch in (0, 1):
        dynamic = loaded(shards, policy=premask.policy(policy), epoch=epoch)
        assert len(dynamic) == num_rows
        for row, expected in dynamic.items():
            found = static[row + epoch * num_rows]
            for name in premask.policy(policy).outputs:
                a, b = np.asarray(expected[name])[0], np.asarray(found[name])[0]
                width = min(len(a), len(b))  # batches are padded to widths of their own
                filler = -100 if name == "labels" else a[-1] if len(a) > width else b[-1:]
                np.testing.assert_array_equal(a[:width], b[:width], err_msg=name)
                assert (a[width:] == filler).all()
                assert (b[width:] == filler).all()


def test_a_frozen_set_verifies_and_keeps_what_rows_are(shards: Path, tmp_path: Path) -> None:
    built = run(shards, tmp_path / "static", "random", epochs=3)
    manifest, faults = verify(str(tmp_path / "static"))
    assert faults == []
    assert built.manifest == manifest
    source, frozen = premask.open_shards(shards), premask.open_shards(tmp_path / "static")
    assert len(frozen) == 3 * len(source)
    assert frozen[len(source) + 5]["seed"] == source[5]["seed"]
    assert frozen[len(source) + 5]["document_id"] == source[5]["document_id"]
    assert frozen[len(source) + 5]["epoch"] == 1


def test_freezing_again_writes_the_same_bytes(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "a", "random")
    run(shards, tmp_path / "b", "random")
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert not run(shards, tmp_path / "a", "random").fresh


def test_another_policy_is_refused_by_parameter(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "out", "random")
    with pytest.raises(RequestError, match=r"policy\.rate \(was 0\.15, is 0\.3\)"):
        run(shards, tmp_path / "out", {"preset": "random", "rate": 0.3})
    run(shards, tmp_path / "out", {"preset": "random", "rate": 0.3}, restart=True)


def test_a_static_set_is_not_frozen_again(shards: Path, tmp_path: Path) -> None:
    run(shards, tmp_path / "a", "random")
    with pytest.raises(RequestError, match="the set is static"):
        run(tmp_path / "a", tmp_path / "b", "random")


@pytest.mark.parametrize("preset", ["permutation", "future_ngram"])
def test_outputs_that_are_no_lists_are_refused(
    shards: Path, tmp_path: Path, preset: str
) -> None:
    with pytest.raises(PolicyError, match="cannot be frozen"):
        run(shards, tmp_path / "a", preset)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("policy", "remedy"),
    [
        ({"preset": "mixture", "per": "batch"}, "per: row in place of per: batch"),
        ({"preset": "schedule", "steps": 1000}, "epochs in place of steps"),
        ({"preset": "adaptive"}, "let the loader apply it"),
        ({"preset": "mixture", "policies": ("random", "adaptive")}, "let the loader apply it"),
    ],
    ids=["per batch", "steps", "adaptive", "adaptive member"],
)
def test_masks_that_depend_on_the_training_are_refused(
    shards: Path, tmp_path: Path, policy: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(PolicyError, match=remedy):
        run(shards, tmp_path / "a", policy)
    assert not (tmp_path / "a").exists()


def test_a_frozen_schedule_is_recorded_as_it_was_asked_for(
    shards: Path, tmp_path: Path
) -> None:
    asked = premask.policy("schedule", epochs=3)
    built = run(shards, tmp_path / "a", asked, epochs=1)
    recorded = built.manifest.policy
    assert recorded is not None
    assert recorded["epochs"] == 1
    assert premask.policy(recorded["definition"]) == asked


def test_a_policy_without_its_annotations_is_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="entity"):
        run(shards, tmp_path / "a", "entity")
    assert not (tmp_path / "a").exists()


def test_a_static_job_is_refused_before_work(make_job: MakeJob) -> None:
    with pytest.raises(PolicyError, match=r"annotate\.tracks"):
        static_policy(make_job(mode="static", policy="entity"))
    with pytest.raises(PolicyError):
        static_policy(make_job(mode="static", policy="randm"))

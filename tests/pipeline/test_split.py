"""Builds of the two parts of a corpus: disjoint, complete, and the same when it grows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import premask
import pytest
from premask._errors import RequestError
from premask.pipeline.load import load_job
from premask.pipeline.verify import verify
from premask.schemas.job import Job

from tests.pipeline.conftest import document
from tests.pipeline.sets import files_of, manifest_of, run_build

MakeJob = Callable[..., Job]
# One document per row, so that the rows name all of them.
ROWS = {"max_length": 512, "arrangement": "documents"}
HELDOUT = {"heldout": 0.3, "part": "heldout"}
TRAIN = {"heldout": 0.3, "part": "train"}


@pytest.fixture
def build_part(make_job: MakeJob, tmp_path: Path) -> Callable[..., Path]:
    """Builds the job with changes into a folder of its own, and checks the set."""
    made: list[Path] = []

    def build(**changes: Any) -> Path:
        made.append(tmp_path / f"set-{len(made)}")
        run_build(make_job(**{"rows": ROWS, "output": str(made[-1])} | changes))
        assert verify(str(made[-1]))[1] == []
        return made[-1]

    return build


def ids_of(root: Path) -> list[str]:
    shards = premask.open_shards(root)
    return sorted(shards.rows(slice(None), document_ids=True).document_ids or ())


def rejects_of(root: Path) -> list[str]:
    return (root / "rejected.jsonl").read_text().splitlines()


@pytest.mark.parametrize("unit_bytes", [6000, 1 << 20])
@pytest.mark.parametrize("repeats", [False, True])
def test_the_parts_are_disjoint_and_together_the_whole(
    build_part: Callable[..., Path], corpus: Path, unit_bytes: int, repeats: bool
) -> None:
    source = {"path": str(corpus), "document": "paragraph"}
    values = {
        "sources": [source, source],
        "unit_bytes": unit_bytes,
        "clean": {"min_characters": 250, "drop_duplicates": repeats},
    }
    whole = build_part(**values)
    parts = [build_part(**values, split=split) for split in (TRAIN, HELDOUT)]
    assert sorted(ids_of(parts[0]) + ids_of(parts[1])) == ids_of(whole)
    assert Counter(rejects_of(parts[0]) + rejects_of(parts[1])) == Counter(rejects_of(whole))
    assert not set(ids_of(parts[0])) & set(ids_of(parts[1]))
    documents = manifest_of(whole).totals["documents_read"]
    for part, other in (parts, parts[::-1]):
        totals, others = manifest_of(part).totals, manifest_of(other).totals
        assert totals["counters"]["other_part"] == others["documents_read"] > 0
        assert totals["documents_read"] + others["documents_read"] == documents == 240


def test_the_units_do_not_matter(build_part: Callable[..., Path]) -> None:
    small, large = (build_part(unit_bytes=size, split=HELDOUT) for size in (500, 1 << 20))
    assert len(manifest_of(small).shards) > len(manifest_of(large).shards)
    assert ids_of(small) == ids_of(large)


def test_documents_stay_on_their_side_when_the_corpus_grows(
    build_part: Callable[..., Path], corpus: Path, tmp_path: Path
) -> None:
    grown = tmp_path / "grown"
    grown.mkdir()
    for path in corpus.iterdir():
        text = "\n\n".join([path.read_text(), *map(document, range(200, 220))])
        (grown / path.name).write_text(text)
    (grown / "an-earlier-one.txt").write_text("\n\n".join(map(document, range(300, 340))))
    source = {"path": str(grown), "document": "paragraph"}
    before = build_part(split=HELDOUT)
    after = build_part(split=HELDOUT, sources=[source])
    known = set(ids_of(build_part()))
    assert [name for name in ids_of(after) if name in known] == ids_of(before)
    assert len(ids_of(after)) > len(ids_of(before))


def test_documents_stay_on_their_side_under_another_name(
    build_part: Callable[..., Path], tmp_path: Path
) -> None:
    texts = [document(number) for number in range(60)]
    for name, order in (("a", texts), ("b", texts[::-1])):
        lines = [json.dumps({"id": text.split(".")[0], "text": text}) + "\n" for text in order]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    first, second = (
        build_part(sources=[{"path": str(tmp_path / f"{name}.jsonl")}], split=HELDOUT)
        for name in "ab"
    )
    assert 0 < len(ids_of(first)) < 60
    assert ids_of(first) == ids_of(second)


def test_targets_of_one_text_stand_on_one_side(
    build_part: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"id": f"{number}", "text": document(number), "target": target}
        for number in range(60)
        for target in ("un", "deux")
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    values = {
        "sources": [{"path": str(path), "target_field": "target"}],
        "rows": {"max_length": 512, "arrangement": "pairs"},
    }
    train, heldout = (ids_of(build_part(**values, split=split)) for split in (TRAIN, HELDOUT))
    assert len(train) + len(heldout) == len(lines)
    assert set(Counter(train).values()) == set(Counter(heldout).values()) == {2}
    assert not set(train) & set(heldout)


def test_the_job_of_a_part_builds_it_again(
    build_part: Callable[..., Path], tmp_path: Path
) -> None:
    part = build_part(split=HELDOUT)
    again = load_job(part / "job.yaml", [f"output={tmp_path / 'again'}"])
    run_build(again)
    assert files_of(part) == files_of(tmp_path / "again")
    other = load_job(part / "job.yaml", [f"output={part}", "split.part=train"])
    with pytest.raises(RequestError, match=r"split\.part \(was heldout, is train\)"):
        run_build(other)


def test_a_set_without_a_split_does_not_mention_one(build_part: Callable[..., Path]) -> None:
    # Neither its job nor its fingerprint: sets from before the split was known can go on.
    whole = build_part()
    assert not [name for name, data in files_of(whole).items() if b"other_part" in data]
    assert "split" not in manifest_of(whole).job


def test_a_small_part_is_no_way_around_the_look_at_the_tokenizer(
    make_job: MakeJob, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.txt"
    path.write_text("\n\n".join("日本語の文章です。" * 20 for _ in range(20)))
    source = {"path": str(path), "document": "paragraph"}
    job = make_job(sources=[source], split={"heldout": 1e-12, "part": "heldout"})
    with pytest.raises(RequestError, match="tokenizer does not know this text"):
        run_build(job)

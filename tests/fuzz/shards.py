"""Target: a shard set of which one file holds something else.

The manifest says what every file is, so most damage is found at once. To get behind that, the
manifest is mended on request: to the file's new size, or to its size and checksums.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import xxhash
from premask._errors import FormatError, PremaskError
from premask.manifest import Manifest
from premask.masking.apply import apply_policy
from premask.masking.policy import policy
from premask.pipeline.commands.info import describe
from premask.pipeline.freeze import freeze
from premask.pipeline.lineage import documents_of, rows_of
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import LineReporter
from premask.pipeline.show import make_view
from premask.pipeline.verify import verify
from premask.schemas.job import Job
from premask.shards import open_shards

from tests.fuzz.target import Target, option
from tests.pipeline.sets import run_build
from tests.stages.vocabularies import tiny_bert

TEXT = "The cat sat on the mat.\nA dog ran.\n\nUnhappy cats running; the mats.\n"
FILES = (
    *("manifest.json", "shards/00000.arrow", "counts.arrow", "documents.arrow"),
    *("collocations.arrow", "idf.arrow", "rejected.jsonl", "job.yaml", "tokenizer.json"),
)
MENDED = ("size", "nothing", "checksums")


def _build(fixed: Path) -> list[bytes]:
    """One small set; an input is a file's number, how to mend, and what the file holds."""
    (fixed / "a.txt").write_text(TEXT * 3)
    tiny_bert(fixed)
    run_build(
        Job.model_validate(
            {
                "sources": [{"path": str(fixed / "a.txt"), "document": "line"}],
                "output": str(fixed / "set"),
                "tokenizer": str(fixed / "vocab.txt"),
                "annotate": {"pipeline": "premask/rules", "tracks": ["sentences"]},
                "clean": {"drop_stubs": True},
                "rows": {"max_length": 16},
                "collocations": {"min_count": 2, "max_entries": 8},
                "shards": {"batch_bytes": 200},
            }
        )
    )
    present = [(k, fixed / "set" / name) for k, name in enumerate(FILES)]
    files = [(k, path.read_bytes()) for k, path in present if path.exists()]
    assert len(files) >= 7
    return [bytes([k, mend]) + data for k, data in files for mend in range(len(MENDED))]


def _run(data: bytes, fixed: Path, scratch: Path) -> None:
    """Whatever opens must give all of its rows; whatever is good must be the set itself."""
    root = Path(shutil.copytree(fixed / "set", scratch / "set"))
    name, content = option(data, 0, FILES), data[2:]
    same = (root / name).exists() and (root / name).read_bytes() == content
    (root / name).write_bytes(content)
    if name != "manifest.json" and option(data, 1, MENDED) != "nothing":
        _mend(root, name, content, checksums=option(data, 1, MENDED) == "checksums")
    _verify(root, good=same)
    with contextlib.suppress(PremaskError):
        describe(Manifest.from_bytes((root / "manifest.json").read_bytes(), location="a"))
    shards = open_shards(root)
    rows = shards.rows(slice(None), document_ids=True)
    assert len(rows) == len(shards) == shards.manifest.num_rows
    for number in range(0, len(shards), max(len(shards) // 3, 1)):
        with contextlib.suppress(PremaskError):
            documents_of(shards, number)
            rows_of(shards, str(shards[number]["document_id"]))
    with contextlib.suppress(PremaskError):
        make_view(shards, 0, epoch=1, policy=policy("random"), step=None)
    for preset in ("random", "pmi", "frequency"):
        with contextlib.suppress(PremaskError):
            apply_policy(preset, rows)
    with contextlib.suppress(FormatError):
        assert shards.counts.dtype.kind in "iu"
    if option(data, 1, range(32)) < 30:
        return  # it takes as long as all the rest
    freeze(
        *(str(root), str(scratch / "static"), policy("random")),
        epochs=1,
        engine=LocalEngine(),
        reporter=LineReporter(stream=io.StringIO()),
    )


def _verify(root: Path, *, good: bool) -> None:
    try:
        faults = verify(str(root))[1]
    except PremaskError:
        assert not good
        return
    assert not (good and faults), faults


def _mend(root: Path, name: str, content: bytes, *, checksums: bool) -> None:
    path = root / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    tables = [entry for entry in manifest["tables"].values() if entry["file"] == name]
    for entry in manifest["shards"] + tables:
        if entry["file"] == name:
            if "num_bytes" in entry:
                entry["num_bytes"] = len(content)
            if checksums:
                entry["sha256"] = hashlib.sha256(content).hexdigest()
            if checksums and "xxh3_64" in entry:
                entry["xxh3_64"] = xxhash.xxh3_64(content).hexdigest()
    path.write_text(json.dumps(manifest))


TARGETS = {
    "shards": Target(
        prepare=_build,
        run=_run,
        words=(
            b"null",
            b'"file": "../',
            b"-1",
            b"1e999",
            b"[[[[",
            b'"list<uint16>"',
            b"\xff" * 4,
        ),
        options=2,
    )
}

"""Every file of the hostile collection ends in its expected way."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from premask._errors import RequestError

from tests.stages.read.reading import Corpus, read_source

# Files that end otherwise than with `docs` documents and nothing rejected: how many documents
# are kept, and why the others are rejected.
ENDS: dict[str, tuple[int, list[str]]] = {
    "arrow/batch-bytes-zeroed.arrow": (10, ["damaged_file"]),
    "arrow/footer-magic-damaged.arrow": (100, ["damaged_file"]),
    "arrow/invalid-utf8.arrow": (2, []),
    "arrow/truncated-mid-batch.arrows": (60, ["damaged_file"]),
    "arrow/truncated-no-footer.arrow": (60, ["damaged_file"]),
    "arrow/zero-byte.arrow": (0, ["damaged_file"]),
    "compressed/bad-crc.jsonl.gz": (100, ["bad_checksum"]),
    "compressed/bit-flip.jsonl.bz2": (0, ["corrupt_stream"]),
    "compressed/bit-flip.jsonl.gz": (98, ["bad_checksum", "missing_text", "missing_text"]),
    "compressed/bomb-256MiB.txt.gz": (0, ["too_long"]),
    "compressed/no-trailer.jsonl.gz": (100, ["truncated_stream"]),
    "compressed/truncated.jsonl.bz2": (0, ["truncated_stream"]),
    "compressed/truncated.jsonl.gz": (55, ["truncated_stream"]),
    "compressed/truncated.jsonl.xz": (55, ["truncated_stream"]),
    "compressed/truncated.jsonl.zst": (0, ["truncated_stream"]),
    "compressed/zero-bytes.jsonl.gz": (0, ["truncated_stream"]),
    "jsonl/deep-nesting.jsonl": (1, ["bad_json"]),
    "jsonl/duplicate-keys.jsonl": (1, []),
    "jsonl/huge-int.jsonl": (2, []),
    "jsonl/lone-surrogates.jsonl": (3, []),
    "jsonl/nan-infinity.jsonl": (3, []),
    "jsonl/nul-escape.jsonl": (1, []),
    "jsonl/one-bad-line.jsonl": (100, ["bad_json"]),
    "jsonl/text-types.jsonl": (
        4,
        ["missing_text"] + ["not_an_object"] * 4 + ["null_text"] + ["text_not_a_string"] * 3,
    ),
    "jsonl/truncated-last-line.jsonl": (99, ["bad_json"]),
    "jsonl/truncated-mid-utf8.jsonl": (100, ["bad_json"]),
    "jsonl/two-objects-per-line.jsonl": (0, ["bad_json"]),
    "parquet/encrypted-magic.parquet": (0, ["damaged_file"]),
    "parquet/footer-length-huge.parquet": (0, ["damaged_file"]),
    "parquet/four-bytes.parquet": (0, ["damaged_file"]),
    "parquet/page-bytes-zeroed.parquet": (0, ["damaged_row_group"] * 100),
    "parquet/text-binary-invalid-utf8.parquet": (2, []),
    "parquet/text-nulls.parquet": (2, ["null_text"]),
    "parquet/text-string-invalid-utf8.parquet": (2, []),
    "parquet/truncated-no-footer.parquet": (0, ["damaged_file"]),
    "parquet/zero-byte.parquet": (0, ["damaged_file"]),
    "xml/billion-laughs.xml": (0, ["bad_xml"]),
    "xml/control-char.xml": (3, []),
    "xml/external-entity.xml": (0, ["bad_xml"]),
    "xml/invalid-utf8.xml": (2, []),
    "xml/mixed.xml": (3, ["not_wikitext"]),
    "xml/multistream.xml.bz2": (20, []),
    "xml/nested-templates.xml": (3, []),
    "xml/no-ns-element-export-0.3.xml": (1, []),
    "xml/ok-20.xml": (20, []),
    "xml/truncated-mid-page.xml": (10, ["unclosed_document"]),
    "xml/truncated.xml.bz2": (0, ["truncated_stream"]),
    "xml/two-revisions.xml": (1, []),
}
REFUSED = {
    "arrow/list-offset-negative.arrow": "no column 'text'",
    "arrow/list-offset-out-of-bounds.arrow": "no column 'text'",
    "arrow/shard-drift-0.arrow": "no column 'text'",
    "arrow/shard-drift-1.arrow": "no column 'text'",
    "compressed/double.jsonl.gz": "compressed twice",
    "jsonl/json-array.json": "a JSON array",
    "jsonl/other-column-name.jsonl": r"there are \['content', 'id'\]",
    "names/odd-names.tar": "cannot be told",
    "parquet/duplicate-column-names.parquet": "2 columns are called",
    "parquet/no-text-column.parquet": r"it has \['id'\]",
    "parquet/text-in-struct.parquet": r"it has \['id', 'doc'\]",
    "parquet/text-int.parquet": "of type int64",
    "parquet/text-list.parquet": "of type list",
}


def hostile() -> Path:
    return Path(__file__).parents[4] / "shared" / "data" / "small" / "hostile"


def expectations() -> dict[str, dict[str, Any]]:
    path = hostile() / "synthetic" / "EXPECT.json"
    return json.loads(path.read_text()) if path.exists() else {}


def read(name: str, expected: dict[str, Any]) -> Corpus:
    options: dict[str, Any] = {"document": "line"} if name.startswith("text/") else {}
    if "encoding" in expected:
        options["encoding"] = expected["encoding"]
    return read_source(hostile() / "synthetic" / name, **options)


@pytest.mark.usefixtures("shared_small")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_wrong_request_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=REFUSED[name]):
        read(name, {})


@pytest.mark.usefixtures("shared_small")
@pytest.mark.parametrize("name", sorted(set(expectations()) - set(REFUSED)))
def test_a_hostile_file_ends_in_its_expected_way(name: str) -> None:
    expected = expectations()[name]
    corpus = read(name, expected)
    docs = expected.get("docs", expected.get("lines"))
    kept, reasons = ENDS.get(name, (docs, []))
    if kept is not None:
        assert len(corpus.documents) == kept
    assert sorted(corpus.reasons) == reasons
    if "text" in expected:
        assert "\n".join(corpus.texts) + "\n" == expected["text"]


@pytest.mark.usefixtures("shared_small")
@pytest.mark.parametrize("name", [name for name in sorted(expectations()) if "text/" in name])
def test_every_character_of_a_text_is_kept(name: str) -> None:
    expected = expectations()[name]
    path = hostile() / "synthetic" / name
    if name.endswith(".gz") or "invalid" in name or "truncated" in name:
        pytest.skip("compressed, or not valid text")
    corpus = read_source(path, encoding=expected.get("encoding", "utf-8"))
    decoded = path.read_bytes().decode(expected.get("encoding", "utf-8"))
    assert "".join(corpus.texts) == decoded


def test_json_test_suite_never_escapes_the_ledger(shared_small: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_small / "hostile" / "json" / "test_parsing.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    files = sorted(path for path in tmp_path.rglob("*.json") if path.is_file())
    assert len(files) > 300
    for path in files:
        with suppress(RequestError):
            corpus = read_source(path, format="jsonl")
            assert corpus.read == len(corpus.rejected)
            assert not (path.name.startswith("n_") and corpus.documents)


def test_damaged_arrow_and_parquet_never_end_the_process(
    shared_small: Path, tmp_path: Path
) -> None:
    folder = shared_small / "hostile"
    for name in ("arrow-ipc-file", "arrow-ipc-stream", "parquet-fuzz"):
        with tarfile.open(folder / "arrow" / f"{name}.tar.gz") as tar:
            tar.extractall(tmp_path / name, filter="data")
    files = [*tmp_path.rglob("*"), *(folder / "parquet-bad").iterdir()]
    (tmp_path / "list.json").write_text(json.dumps([str(f) for f in files if f.is_file()]))
    code = (
        "import json, sys\n"
        "from premask._errors import RequestError\n"
        "from tests.stages.read.reading import read_source\n"
        "for path in json.load(open(sys.argv[1])):\n"
        "    form = 'parquet' if 'parquet' in path else 'auto'\n"
        "    print(path, flush=True)\n"
        "    try:\n"
        "        read_source(path, format=form)\n"
        "    except RequestError:\n"
        "        pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "list.json")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1] + done.stderr[-2000:]

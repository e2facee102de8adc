from __future__ import annotations

import functools
import gzip
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from premask._errors import RequestError
from premask.schemas.job import Source
from premask.stages.read import SourceFile, resolve

from tests.stages.read.reading import read_source


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A directory with files of several formats."""
    root = tmp_path / "corpus"
    (root / "b" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("plain")
    (root / ".hidden.txt").write_text("hidden")
    (root / "b" / ".git").mkdir()
    (root / "b" / ".git" / "x.txt").write_text("hidden")
    (root / "b" / "lines").write_text('{"text": "from json"}\n')
    (root / "b" / "wiki_00").write_text('<doc id="1" url="" title="T">\nfrom wiki\n</doc>\n')
    (root / "b" / "deep" / "z.xml").write_text(
        "<mediawiki><page><id>9</id><revision><text>from dump</text></revision></page>"
    )
    pq.write_table(pa.table({"text": ["from parquet"]}), root / "c.bin")
    return root


@pytest.fixture
def memory() -> Iterator[str]:
    filesystem = fsspec.filesystem("memory")
    yield "memory://corpus"
    if filesystem.exists("/corpus"):
        filesystem.rm("/corpus", recursive=True)


def found(path: Path | str, **options: object) -> list[SourceFile]:
    return resolve(Source.model_validate({"path": str(path), **options}))


def names(path: Path | str) -> list[str]:
    return [file.name for file in found(path)]


def test_a_directory_gives_its_files_sorted_with_their_formats(corpus: Path) -> None:
    assert [(file.name, file.format) for file in found(corpus)] == [
        ("a.txt", "text"),
        ("b/deep/z.xml", "mediawiki"),
        ("b/lines", "jsonl"),
        ("b/wiki_00", "wikiextractor"),
        ("c.bin", "parquet"),
    ]
    assert read_source(corpus).texts == [
        "plain",
        "from dump",
        "from json",
        "from wiki",
        "from parquet",
    ]


def test_names_do_not_depend_on_where_the_corpus_lies(corpus: Path, tmp_path: Path) -> None:
    here = read_source(corpus).documents
    corpus.rename(tmp_path / "moved")
    assert read_source(tmp_path / "moved").documents == here


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.*", ["a.txt", "c.bin"]),
        ("**/z.*", ["b/deep/z.xml"]),
        ("b/*_0[0-9]", ["wiki_00"]),
        ("b/*", ["deep/z.xml", "lines", "wiki_00"]),
        ("b/**", ["deep/z.xml", "lines", "wiki_00"]),
    ],
)
def test_globs_name_files_below_their_fixed_part(
    corpus: Path, pattern: str, expected: list[str]
) -> None:
    assert names(corpus / pattern) == expected


def test_a_name_with_wildcards_is_taken_as_it_is_where_it_exists(tmp_path: Path) -> None:
    (tmp_path / "a[1]*.txt").write_text("x")
    assert names(tmp_path / "a[1]*.txt") == ["a[1]*.txt"]


def test_one_file_is_named_by_itself(corpus: Path) -> None:
    assert names(corpus / "b" / "wiki_00") == ["wiki_00"]
    assert names(f"file://{corpus}/a.txt") == ["a.txt"]


def test_linked_files_and_directories_are_read_but_loops_are_not(corpus: Path) -> None:
    (corpus / "b" / "loop").symlink_to(corpus)
    (corpus / "link.txt").symlink_to(corpus / "a.txt")
    (corpus / "linked").symlink_to(corpus / "b" / "deep")
    assert names(corpus) == [
        "a.txt",
        "b/deep/z.xml",
        "b/lines",
        "b/wiki_00",
        "c.bin",
        "link.txt",
        "linked/z.xml",
    ]
    assert names(corpus / "**" / "z.xml") == ["b/deep/z.xml", "linked/z.xml"]


def test_a_dangling_link_is_refused(corpus: Path) -> None:
    (corpus / "gone.txt").symlink_to(corpus / "nowhere")
    with pytest.raises(RequestError, match="a link that leads nowhere"):
        names(corpus)


def test_odd_names_become_valid_ids(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/bad-\xff\nname.txt"
    Path(os.fsdecode(path)).write_text("x")
    (document,) = read_source(tmp_path).documents
    assert document[0] == "bad-\\udcff\nname.txt:0"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.txt", "does not exist: check the path"),
        (lambda folder: folder / "*.none", "holds no file"),
        (lambda folder: folder, "holds no file"),
        (lambda _: "nosuch://bucket/x", "cannot be opened"),
        (lambda _: "memory://nothing/here", "cannot be read|holds no file"),
        (lambda _: os.devnull, "is no regular file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_path(
    tmp_path: Path, make: object, message: str
) -> None:
    assert callable(make)
    path = make(tmp_path)
    with pytest.raises(RequestError, match=message) as error:
        names(path)
    assert str(path).split("://")[-1].split("/")[0] in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"\x00\x01binary", "cannot be told .* give --format"),
        ("a.md", b"# words", "cannot be told .* give --format"),
        ("a.parquet", b"no parquet", "no parquet file, in spite of its name"),
        ("a.xml", b"<?xml version='1.0'?><rss/>", "XML, but no MediaWiki dump"),
        ("a.json", b'[{"text": "a"}]', "a JSON array"),
        ("a.txt.gz", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "compressed twice"),
    ],
)
def test_a_format_that_cannot_be_told_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message):
        names(tmp_path)


def test_the_format_given_wins(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# words")
    assert read_source(tmp_path / "a.md", format="text").texts == ["# words"]


def test_json_lines_that_begin_with_a_giant_line_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps({"text": "x" * 200_000}) + "\n")
    assert found(tmp_path)[0].format == "jsonl"


@pytest.mark.parametrize("unit_bytes", [7, 1 << 20])
def test_remote_files_are_read_like_local_ones(
    corpus: Path, memory: str, unit_bytes: int
) -> None:
    (corpus / "lines.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    table = pa.table({"text": [f"row {i}" for i in range(30)]})
    with pa.ipc.new_stream(str(corpus / "d.arrow"), table.schema) as sink:
        sink.write_table(table, max_chunksize=10)
    filesystem = fsspec.filesystem("memory")
    for path in corpus.rglob("*"):
        if path.is_file():
            filesystem.pipe(f"/corpus/{path.relative_to(corpus).as_posix()}", path.read_bytes())
    local = read_source(corpus, unit_bytes=unit_bytes, document="line")
    remote = read_source(memory, unit_bytes=unit_bytes, document="line")
    assert remote.documents == local.documents
    assert names(f"{memory}/*.txt") == ["a.txt"]
    assert names(f"{memory}/b/*") == ["deep/z.xml", "lines", "wiki_00"]
    assert names(f"{memory}/b/deep/z.xml") == ["z.xml"]
    assert all(unit.path.startswith("memory://") for unit in remote.units)


class _PlainServer(SimpleHTTPRequestHandler):
    """A web server that offers no byte ranges."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(corpus: Path) -> Iterator[str]:
    handler = functools.partial(_PlainServer, directory=str(corpus))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_server_without_byte_ranges_gives_whole_files(corpus: Path, server: str) -> None:
    pytest.importorskip("aiohttp")
    lines = b"".join(b'{"text": "%d"}\n' % i for i in range(50))
    (corpus / "x.jsonl").write_bytes(lines)
    read = read_source(f"{server}/x.jsonl", unit_bytes=50)
    assert read.texts == [str(i) for i in range(50)]
    assert [(unit.name, unit.start) for unit in read.units] == [("x.jsonl", 0)]
    with pytest.raises(RequestError, match="none"):
        names(f"{server}/none.jsonl")


def test_files_with_hostile_names_are_all_read(shared_small: Path, tmp_path: Path) -> None:
    archive = shared_small / "hostile" / "synthetic" / "names" / "odd-names.tar"
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and ".." not in member.name and not member.name.startswith("/"):
                tar.extract(member, tmp_path, filter="data")
    corpus = read_source(tmp_path, format="text")
    visible = [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert len(corpus.documents) == len(set(corpus.ids)) == len(visible) > 10

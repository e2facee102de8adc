"""Tells a file's format from its content, and only then from its name.

One read of the first block per file. Where neither decides, the request is refused: a wrong
guess would turn markup or binary data into a corpus.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from premask._errors import RequestError
from premask.schemas.job import Source
from premask.stages.read.compression import SUFFIXES, recognise_compression
from premask.stages.read.stream import Head, read_head

_TEXT_SUFFIXES = {".txt", ".text"}
_JSON_SUFFIXES = {".jsonl", ".json", ".ndjson"}
_WIKIEXTRACTOR = re.compile(r"\s*<doc [^>\n]*\bid=")
_XML = re.compile(r"\s*<(?:\?xml|!DOCTYPE|!--|mediawiki[\s>])", re.IGNORECASE)
_MEDIAWIKI = re.compile(r"<mediawiki[\s>]")
_HEAD_CHARACTERS = 16_000


def recognise(path: str, source: Source) -> str:
    """The format of a file: a key of `premask.stages.read.FORMATS`.

    Raises:
        RequestError: the format cannot be told, or is none that Premask reads.
        OSError: the file cannot be read.
    """
    head = read_head(path, source.encoding)
    if head.file_start.startswith((b"PAR1", b"PARE")):
        return "parquet"
    if head.file_start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "datasets"
    if recognise_compression(head.content):
        return _refuse(path, "compressed twice", "decompress it once")
    name = PurePosixPath(path.lower())
    suffix = PurePosixPath(name.stem).suffix if name.suffix in SUFFIXES else name.suffix
    if not head.content:
        return _of_empty(suffix)
    # A table of tabs may hold anything, unless the source says where the text is.
    has_columns = source.target_field is not None or source.text_field.isdecimal()
    return _of_content(path, suffix, head, has_columns=has_columns)


def _of_empty(suffix: str) -> str:
    if suffix in {".parquet", ".arrow"}:
        return "parquet" if suffix == ".parquet" else "datasets"
    if suffix == ".xml":
        return "mediawiki"
    return "jsonl" if suffix in _JSON_SUFFIXES else "text"


def _of_content(path: str, suffix: str, head: Head, *, has_columns: bool) -> str:
    text = head.content.decode(head.encoding, "ignore")[:_HEAD_CHARACTERS]
    if _WIKIEXTRACTOR.match(text):
        return "wikiextractor"
    if _XML.match(text) and _MEDIAWIKI.search(text):
        return "mediawiki"
    if suffix in _TEXT_SUFFIXES:
        return "text"
    if suffix == ".tsv" and has_columns:
        return "tsv"
    if suffix in _JSON_SUFFIXES or _is_json_object(text):
        if text.lstrip().startswith("["):
            _refuse(path, "a JSON array, not one object per line", "write it as JSON lines")
        return "jsonl"
    if suffix in {".parquet", ".arrow"}:
        _refuse(path, f"no {suffix[1:]} file, in spite of its name", "give --format")
    if _XML.match(text):
        _refuse(path, "XML, but no MediaWiki dump", "extract its text first")
    return _refuse(
        path,
        "of a format that cannot be told from its name and content",
        "give --format text, jsonl, tsv, parquet, wikiextractor, mediawiki or datasets, or a "
        "glob that leaves it out",
    )


def _is_json_object(text: str) -> bool:
    """Whether the first line is a JSON object, or the beginning of a very long one."""
    line, end, _ = text.lstrip().partition("\n")
    if not line.startswith("{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return not end and re.match(r'\{\s*"', line) is not None
    return True


def _refuse(path: str, what: str, remedy: str) -> str:
    raise RequestError(f"{path} is {what}: {remedy}", location=path)

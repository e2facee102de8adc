"""Entity names from lists: what a knowledge graph (Wikidata, YAGO) knows and a model may not.

Three formats, recognised by the file's name, all UTF-8, all optionally ``.gz``:

- ``.txt``: one name a line;
- ``.tsv``: name, and behind it a label if there is one; a leading identifier (``Q42``,
  ``/m/0k8z``, a URL) is passed over;
- ``.jsonl``: one object a line, the name under ``name`` or ``pattern``, the label under
  ``label``; so spaCy's pattern files work where the patterns are strings.

A name without a label gets the label ``NAME``. Underscores count as spaces, as in YAGO's
identifiers. Names are looked up as spaCy tokens, case and all. Cost: about 10 microseconds per
name when the pipeline is loaded, little per word afterwards.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from premask._errors import RequestError

DEFAULT_LABEL = "NAME"
_IDENTIFIER = re.compile(r"Q\d+|/[mg]/\w+|https?://\S+|<\S+>")

# A span of tokens: first, behind the last, code of its label.
TokenSpan = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Name:
    """One entry: the text to find and the label of what it names."""

    text: str
    label: str


def read_gazetteer(path: str) -> list[Name]:
    """The names of one file, without repeats, in the order of the file.

    Raises:
        RequestError: the file is absent, of another format, or has a line that is wrong.
    """
    parse = _parser(path)
    names: dict[Name, None] = {}
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if line.strip():
            name, label = parse(line, f"{path}:{number}")
            text = " ".join(name.replace("_", " ").split())
            if text:
                names[Name(text, label.strip() or DEFAULT_LABEL)] = None
    return list(names)


def gazetteer_info(path: str) -> dict[str, str]:
    """Name and SHA-256 of a file, for the manifest."""
    return {"name": Path(path).name, "sha256": hashlib.sha256(_bytes(path)).hexdigest()}


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RequestError(
            f"cannot read the gazetteer {path!r}: {error.strerror}; check the path",
            location="annotate.gazetteers",
        ) from error


def _read(path: str) -> str:
    data = _bytes(path)
    try:
        return (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise RequestError(f"{error}; expected UTF-8 text", location=path) from error


def _parser(path: str) -> Callable[[str, str], tuple[str, str]]:
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    parsers = {".txt": _from_text, ".tsv": _from_tsv, ".jsonl": _from_json}
    if suffix not in parsers:
        raise RequestError(
            f"unknown kind of gazetteer {Path(path).name!r}; "
            "allowed are .txt, .tsv and .jsonl, each also with .gz",
            location="annotate.gazetteers",
        )
    return parsers[suffix]


def _from_text(line: str, _location: str) -> tuple[str, str]:
    return line, ""


def _from_tsv(line: str, _location: str) -> tuple[str, str]:
    columns = line.split("\t")
    if len(columns) > 1 and _IDENTIFIER.fullmatch(columns[0].strip()):
        del columns[0]
    return columns[0], columns[1] if len(columns) > 1 else ""


def _from_json(line: str, location: str) -> tuple[str, str]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise RequestError(f"not JSON: {error}", location=location) from error
    name = value.get("name", value.get("pattern")) if isinstance(value, dict) else None
    label = value.get("label", "") if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(label, str):
        raise RequestError(
            f"expected an object with strings under 'name' (or 'pattern') and 'label', "
            f"got {line.strip()[:80]}",
            location=location,
        )
    return name, label


def phrase_matcher(nlp: Any, names: Iterable[Name]) -> Any:
    """A `spacy.matcher.PhraseMatcher` whose keys are the names' labels."""
    from spacy.matcher import PhraseMatcher

    by_label: dict[str, list[str]] = {}
    for name in names:
        by_label.setdefault(name.label, []).append(name.text)
    matcher = PhraseMatcher(nlp.vocab)
    for label, texts in by_label.items():
        matcher.add(label, list(nlp.tokenizer.pipe(texts)))
    return matcher


def merge(model: Iterable[TokenSpan], listed: Iterable[TokenSpan]) -> list[TokenSpan]:
    """Disjoint spans in order: the longest wins, then the model's, then the leftmost.

    Length counts tokens. Of equal spans with several labels, the smallest code wins.
    """
    ranked = sorted(
        [(start - end, 0, start, code) for start, end, code in model]
        + [(start - end, 1, start, code) for start, end, code in listed]
    )
    taken: set[int] = set()
    kept = []
    for negative_length, _, start, code in ranked:
        tokens = range(start, start - negative_length)
        # Longer spans went first: a span that overlaps one of them has an end inside it.
        if tokens[0] not in taken and tokens[-1] not in taken:
            taken.update(tokens)
            kept.append((start, tokens.stop, code))
    return sorted(kept)


def find_names(matcher: Any, doc: Any, label_codes: Mapping[int, int]) -> list[TokenSpan]:
    """Token spans of all names in a spaCy document, overlaps included."""
    return [(start, end, label_codes[key]) for key, start, end in matcher(doc)]

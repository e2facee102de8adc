"""Turns wikitext into plain text.

Headings, list items and link texts stay, each on its line; headings without text below them
go. Blocks without prose are taken out first (`premask.stages.wikitext`), then mwparserfromhell
parses what is left piece by piece, so that its cost, which grows faster than the length on
unbalanced markup, is bounded. A line beyond the bounds is stripped by patterns alone, and
counted as ``markup_fallbacks``. Costs a second per few megabytes of wikitext: it is nearly all
of the cost of reading a dump.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator

import mwparserfromhell
import pyarrow as pa
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Tag, Text, Wikilink
from mwparserfromhell.parser import ParserError
from mwparserfromhell.wikicode import Wikicode
from premask.schemas.records import DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.wikitext import is_hidden_link, without_blocks

Stage = Callable[[Iterator[pa.RecordBatch], Ledger], Iterator[pa.RecordBatch]]

# The parser needs at most half a second for a piece of this length, whatever is in it.
_PIECE_CHARACTERS = 4_000
# A longer line is parsed if its markup is tame: its brackets pair up, its quotes are few.
_MAX_LINE_CHARACTERS = 100_000
_MAX_UNPAIRED = 20
_MAX_QUOTES = 400
_MAX_TITLE_CHARACTERS = 255

_LIST_MARKERS = re.compile(r"^[*#:;]+[ \t]*", re.MULTILINE)
_STRAY_TAG = re.compile(r"<(?=[A-Za-z/!])")
# ``-{flags|variant:text; variant:text}-``: what some languages show in several scripts.
_VARIANTS = re.compile(r"-\{(?:([^{}|]*+)\|)?(?:[\w-]++:)?([^;{}]*+)[^{}]*+\}-")
_HIDING_FLAGS = {"T", "H"}
_MAGIC_WORD = re.compile(r"__[^\W\d_]{2,30}__")
_INTERLANGUAGE = re.compile(r"(?:[a-z]{2,3}(?:-[a-z]+)*|simple):(?! )")
_PIPE_TRICK = re.compile(r"^:?(?:[^:]*:)?(.*?)(?: *[(（].*[)）]|, .*)?$", re.DOTALL)
_HEADING_MARK = "\x01"  # stands before a heading's level and title; XML forbids it in text
_HEADING = re.compile(rf"{_HEADING_MARK}([1-6])(.*)")

_TABLE_LINE = re.compile(r"^[ \t]*(?:\{\||\|).*$", re.MULTILINE)
_LEFTOVERS = re.compile(r"'{2,}|\[\[|\]\]")  # of markup that is none to the parser
_EMPTY_BRACKETS = re.compile(r"[ \t]?[(（\[][\s,;:/،、，；–—-]*[)）\]]")
_SPACE_IN_BRACKET = re.compile(r"([(（])[\s,;:،、，；]+")
_SPACE_BEFORE_STOP = re.compile(r" ([,.])(?=[\s)]|$)", re.MULTILINE)
_SPACES = re.compile(r"[ \t\xa0]{2,}")
_PATTERNS = (
    (re.compile(r"\[\[(?:[^\[\]|]*+\|)?([^\[\]|]*+)\]\]"), r"\1"),
    (re.compile(r"\[(?:https?:|ftp:)?//[^\s\[\]]*+[ \t]*+([^\[\]]*+)\]"), r"\1"),
    (_LEFTOVERS, ""),
)


def strip_wikitext() -> Stage:
    """A stage that turns batches of wikitext into batches of text, schema `DOCUMENTS`.

    A page whose markup defeats the parser is rejected as `bad_markup`.
    """
    return _strip


def _strip(batches: Iterator[pa.RecordBatch], ledger: Ledger) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        texts: list[str | None] = []
        rows = zip(*(batch.column(name).to_pylist() for name in DOCUMENTS.names), strict=True)
        for document_id, position, wikitext in rows:
            try:
                texts.append(plain_text(wikitext, ledger.counters))
            except (ParserError, RecursionError, ValueError) as exc:
                texts.append(None)
                ledger.reject(
                    document_id=document_id,
                    position=position,
                    stage="strip",
                    reason="bad_markup",
                    detail=f"{type(exc).__name__}: {exc}",
                )
        column = pa.array(texts, pa.large_string())
        stripped = batch.set_column(
            batch.schema.get_field_index("text"), DOCUMENTS.field("text"), column
        )
        kept = stripped.filter(column.is_valid())
        if kept.num_rows:
            yield kept


def plain_text(wikitext: str, counters: Counter[str]) -> str:
    """The text of a page, a paragraph, heading or list item to a line.

    Raises:
        mwparserfromhell.parser.ParserError: the parser gave up.
    """
    prose = _LIST_MARKERS.sub("", without_blocks(wikitext.replace(_HEADING_MARK, "")))
    prose = _STRAY_TAG.sub("&lt;", _TABLE_LINE.sub("", prose))
    prose = _VARIANTS.sub(_first_variant, prose)
    stripped = "".join(_strip_piece(piece, counters) for piece in _pieces(prose))
    return _without_empty_sections(_tidy(stripped))


def _first_variant(match: re.Match[str]) -> str:
    return "" if match[1] in _HIDING_FLAGS else match[2].strip()


def _pieces(prose: str) -> Iterator[str]:
    """Whole lines, together no longer than a piece may be; a longer line is a piece alone."""
    gathered: list[str] = []
    num_characters = 0
    for line in prose.splitlines(keepends=True):
        if gathered and num_characters + len(line) > _PIECE_CHARACTERS:
            yield "".join(gathered)
            gathered, num_characters = [], 0
        gathered.append(line)
        num_characters += len(line)
    yield "".join(gathered)


def _strip_piece(piece: str, counters: Counter[str]) -> str:
    if len(piece) <= _PIECE_CHARACTERS or _is_tame(piece):
        return "".join(_render(mwparserfromhell.parse(piece)))
    counters["markup_fallbacks"] += 1
    for pattern, replacement in _PATTERNS:
        piece = pattern.sub(replacement, piece)
    return html.unescape(piece)


def _is_tame(line: str) -> bool:
    return (
        len(line) <= _MAX_LINE_CHARACTERS
        and abs(line.count("[") - line.count("]")) <= _MAX_UNPAIRED
        and line.count("''") <= _MAX_QUOTES
    )


def _render(code: Wikicode) -> Iterator[str]:
    """The text of a tree, part by part; what is no text (templates, comments) is left out."""
    for node in code.nodes:
        if isinstance(node, Text):
            yield _LEFTOVERS.sub("", str(node.value))
        elif isinstance(node, HTMLEntity):
            yield html.unescape(str(node))
        elif isinstance(node, Wikilink):
            yield _link_text(node)
        elif isinstance(node, ExternalLink):
            if node.title is not None:
                yield from _render(node.title)
            elif not node.brackets:
                yield str(node.url)
        elif isinstance(node, Heading):
            title = " ".join("".join(_render(node.title)).split())
            yield f"\n{_HEADING_MARK}{node.level}{title}\n"
        elif isinstance(node, Tag) and node.contents is not None:
            yield from _render(node.contents)


def _link_text(link: Wikilink) -> str:
    target = str(link.title).strip()
    if is_hidden_link(f"[[{target}]]"):
        return ""
    if link.text is None:
        return "" if _INTERLANGUAGE.match(target) else html.unescape(target.lstrip(":"))
    shown = "".join(_render(link.text))
    if shown.strip():
        return shown
    found = _PIPE_TRICK.match(target) if len(target) <= _MAX_TITLE_CHARACTERS else None
    return html.unescape(found[1] if found else target)


def _tidy(text: str) -> str:
    """The text without magic words, soft hyphens, and brackets that templates left empty."""
    text = _SPACES.sub(" ", _MAGIC_WORD.sub("", text).replace("\xad", ""))
    text = _SPACE_IN_BRACKET.sub(r"\1", _EMPTY_BRACKETS.sub("", text))
    return _SPACES.sub(" ", _SPACE_BEFORE_STOP.sub(r"\1", text))


def _without_empty_sections(text: str) -> str:
    """The lines with text, without headings that have none below them, blank lines joined."""
    lines: list[str] = []
    pending: list[tuple[int, str]] = []  # headings whose section has had no text yet
    blank = False
    for line in text.split("\n"):
        if heading := _HEADING.match(line):
            level = int(heading[1])
            pending = [entry for entry in pending if entry[0] < level]
            pending.append((level, heading[2].strip()))
        elif stripped := line.strip():
            for _, title in pending:
                lines += ["", title] if lines else [title]
            if blank and lines and not pending:
                lines.append("")
            pending, blank = [], False
            lines.append(stripped)
        else:
            blank = True
    return "\n".join(lines)

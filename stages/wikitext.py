"""Takes the blocks out of wikitext that hold no prose, in one pass over its brackets.

Templates, tables, references, formulas, galleries, comments, files and categories go, whatever
their nesting; so do brackets without a partner and the tags of inline HTML. What remains is
prose with inline markup, whose parts can be parsed one by one. Linear in the length of the
text, however its brackets are arranged: a parser of the whole language is quadratic or worse
on unbalanced markup.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

_DROPPED = (
    "ref|references|gallery|math|chem|ce|timeline|score|hiero|syntaxhighlight|source|imagemap|"
    "graph|chart|mapframe|maplink|templatestyles|templatedata|inputbox|includeonly|indicator|"
    "categorytree|style|script|table"
)
_LITERAL = "nowiki|pre"
_TOKEN = re.compile(
    rf"(?P<comment><!--)"
    rf"|<(?P<tag>{_DROPPED}|{_LITERAL})\b[^<>]*>"
    r"|(?P<open>\{\{+)|(?P<close>\}\}+)"
    r"|^[ \t:]*(?P<table>\{\|)|^[ \t]*(?P<table_end>\|\})(?!\})"
    r"|(?P<link>\[\[)|(?P<link_end>\]\])",
    re.IGNORECASE | re.MULTILINE,
)
_BREAKING_TAG = re.compile(
    r"</?(?:br|hr|p|div|center|blockquote|ul|ol|dl|li|dt|dd|h[1-6]|poem|td|th|tr)\b[^<>]*>",
    re.IGNORECASE,
)
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|bdi|bdo|big|cite|code|data|del|em|font|i|ins|kbd|mark|noinclude|"
    r"onlyinclude|q|rb|rp|rt|ruby|s|samp|section|small|span|strike|strong|sub|sup|time|tt|u|"
    rf"var|wbr|{_DROPPED}|{_LITERAL}|translate|languages)\b[^<>]*>",
    re.IGNORECASE,
)
# Files, media and categories in the languages whose dumps were at hand, and their neighbours.
_NAMESPACES = (
    "file image media category archivo imagen arquivo imagem ficheiro categoría categoria "
    "fichier catégorie immagine fișier imagine categorie fitxer datei bild kategorie "
    "bestand afbeelding fil kategori bilde plik grafika kategoria soubor súbor kategória "
    "datoteka slika kategorija fájl kép tiedosto kuva luokka pilt fail fails attēls "
    "vaizdas dosya resim şəkil kateqoriya berkas gambar tập_tin hình thể_loại файл "
    "изображение медиа медия категория категорія зображення картинка катэгорыя слика "
    "категорија датотека kategoreja medeja αρχείο εικόνα κατηγορία קובץ תמונה קטגוריה "
    "טעקע בילד קאַטעגאָריע קאטעגאריע ملف صورة تصنيف پرونده تصویر رده चित्र श्रेणी চিত্র "
    "বিষয়শ্রেণী ไฟล์ ภาพ หมวดหมู่ ဖိုင် ကဏ္ဍ ፋይል ስዕል መደብ "
    "ファイル 画像 カテゴリ 파일 그림 분류 文件 圖像 图像 "
    "檔案 档案 分类 分類 պատկեր կատեգորիա სურათი კატეგორია"
)
_HIDDEN_NAMESPACES = frozenset(_NAMESPACES.split())
_MEDIA_NAME = re.compile(
    r"[^|\]]*:[^|\]]*\.(?:jpe?g|png|svg|gif|tiff?|webp|og[agv]|web[mp]|mp3|wav|pdf|djvu|stl)"
    r"\s*(?:\||\]\])",
    re.IGNORECASE,
)
_JOINED_BRACES = re.compile(r"\{(?=\{)|\}(?=\})")
_LINK_HEAD = 300  # a target has 255 bytes at most
_TO_ENTITIES = {ord(char): f"&#{ord(char)};" for char in "[]{}'=*#:;<>|_-~"}


class _Cut(NamedTuple):
    """A stretch of the text, and what stands in its place."""

    start: int
    end: int
    replacement: str


class _Opening(NamedTuple):
    """An opening bracket that still waits for its partner."""

    kind: str
    start: int
    length: int


def is_hidden_link(link: str) -> bool:
    """Whether a link ``[[...`` shows a file or sets a category, and so holds no prose."""
    namespace, colon, _ = link[2:_LINK_HEAD].partition(":")
    name = namespace.strip().replace(" ", "_").lower()
    return bool(colon) and (
        name in _HIDDEN_NAMESPACES or _MEDIA_NAME.match(link[:_LINK_HEAD], 2) is not None
    )


def without_blocks(wikitext: str) -> str:
    """The wikitext without the blocks that hold no prose, and without HTML tags."""
    prose = _INLINE_TAG.sub("", _BREAKING_TAG.sub("\n", _Scan(wikitext).prose()))
    # Pairs of braces all went: those that are there now met where a block or a tag went.
    return _JOINED_BRACES.sub(r"\g<0> ", prose)


class _Scan:
    """One pass over the brackets of a text: a stack of open ones, a list of cuts."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._cuts: list[_Cut] = []
        self._stack: list[_Opening] = []
        self._open: Counter[str] = Counter()
        self._unclosed_tags: set[str] = set()

    def prose(self) -> str:
        position = 0
        while match := _TOKEN.search(self._text, position):
            position = self._token(match)
        for opening in self._stack:
            self._drop_bracket(opening)
        pieces = []
        position = 0
        for cut in sorted(self._cuts, key=lambda cut: (cut.start, -cut.end)):
            if cut.start >= position:  # else it lies in a block that was cut
                pieces += [self._text[position : cut.start], cut.replacement]
                position = cut.end
        return "".join([*pieces, self._text[position:]])

    def _token(self, match: re.Match[str]) -> int:
        """Handles one token; gives where to go on."""
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        if kind == "comment":
            return self._region(match.start(), end, "-->")
        if kind == "tag":
            return self._tag(match)
        if kind in ("open", "table", "link"):
            self._push(kind, start, end - start)
        elif kind == "close":
            self._close_braces(start, end)
        elif kind == "table_end":
            self._close("table", start, end)
        else:
            self._close("link", start, end)
        return end

    def _tag(self, match: re.Match[str]) -> int:
        name = match["tag"].lower()
        if match[0].endswith("/>"):
            return self._cut(match.start(), match.end())
        literal = name in _LITERAL.split("|")
        return self._region(match.start(), match.end(), f"</{name}", literal=literal)

    def _region(self, start: int, inner: int, closing: str, *, literal: bool = False) -> int:
        """Cuts from `start` to the closing mark, or the opening mark alone without one."""
        if closing in self._unclosed_tags:
            return self._cut(start, inner)
        found = re.compile(re.escape(closing), re.IGNORECASE).search(self._text, inner)
        if found is None:
            self._unclosed_tags.add(closing)
            return self._cut(start, inner)
        end = found.end()
        if closing != "-->":
            end = self._text.find(">", end) + 1 or len(self._text)
        content = self._text[inner : found.start()].translate(_TO_ENTITIES) if literal else ""
        return self._cut(start, end, content)

    def _cut(self, start: int, end: int, replacement: str = "") -> int:
        self._cuts.append(_Cut(start, end, replacement))
        return end

    def _push(self, kind: str, start: int, length: int) -> None:
        self._stack.append(_Opening(kind, start, length))
        self._open[kind] += 1

    def _pop_to(self, kind: str) -> _Opening:
        """The last opening of a kind; those above it have no partner."""
        while True:
            opening = self._stack.pop()
            self._open[opening.kind] -= 1
            if opening.kind == kind:
                return opening
            self._drop_bracket(opening)

    def _drop_bracket(self, opening: _Opening) -> None:
        self._cuts.append(_Cut(opening.start, opening.start + opening.length, ""))

    def _close(self, kind: str, start: int, end: int) -> None:
        """A closing bracket: the block goes if it holds no prose, an unpaired bracket too."""
        if not self._open[kind]:
            self._cut(start, end)
            return
        opening = self._pop_to(kind)
        if kind != "link" or is_hidden_link(
            self._text[opening.start : min(end, opening.start + _LINK_HEAD)]
        ):
            self._cut(opening.start, end)

    def _close_braces(self, start: int, end: int) -> None:
        """A run of closing braces: it closes templates and arguments until it is used up."""
        while end - start >= 2 and self._open["open"]:
            opening = self._pop_to("open")
            used = min(opening.length, end - start)
            start += used
            left = opening.length - used
            self._cut(opening.start + (left if left >= 2 else 0), start)
            if left >= 2:
                self._push("open", opening.start, left)
        if start < end:
            self._cut(start, end)

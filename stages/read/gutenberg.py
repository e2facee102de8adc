"""Finds the book inside a Project Gutenberg file.

The body is what stands between the lines ``*** START OF ... EBOOK ... ***`` and ``*** END OF
...``, or between the markers of files from before 2000, without the credits of its producers.
"""

from __future__ import annotations

import re

_START = re.compile(
    rb"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG[^*]{0,500}\*\*\*[^\n]*\n"
    rb"|^\*END[ *]*THE SMALL PRINT[^\n]*\n",
    re.MULTILINE | re.IGNORECASE,
)
_END = re.compile(
    rb"^\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|^End of (?:the )?Project Gutenberg",
    re.MULTILINE | re.IGNORECASE,
)
_CREDITS = re.compile(
    rb"\s*(?:Produced by|E-text prepared by|This e-?text was (?:produced|prepared))\b"
    rb"(?:[^\r\n]+\r?\n)+",
    re.IGNORECASE,
)


def body(data: bytes) -> tuple[int, int]:
    """Start and end of the book in the file's bytes; all of it where nothing is marked."""
    start = 0
    for match in _START.finditer(data):
        start = match.end()
    if credit := _CREDITS.match(data, start):
        start = credit.end()
    end = _END.search(data, start)
    return start, end.start() if end else len(data)

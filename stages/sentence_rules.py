"""Sentences by their punctuation: the annotator ``premask/rules``, without spaCy or a model.

A sentence ends at ``. ! ? …``, the danda or the Arabic and Urdu full stops, with the quotation
marks and brackets that close behind it, where white space follows and then no lower-case
letter; at the full stops of Chinese and Japanese without white space; and at a blank line. A
single full stop ends none behind an initial (``J. R.``), an abbreviation that a name or number
follows (``Dr.``, ``Fig.``), or ``e.g.`` and its like. A line end alone ends nothing, so wrapped
lines stay together.

Good enough to cut rows by, and some thousand times as fast as a model (20 MB per second); where
sentences are to be right, use a pipeline with a parser. Linear in the text, whatever is in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from premask._errors import RequestError
from premask.schemas.job import Annotate
from premask.schemas.records import ANNOTATIONS
from premask.schemas.unit import Ledger

NAME = "premask/rules"
_VERSION = "1"
_COLUMN = "sentence_starts"

_CLOSERS = r"""["'”’»›)\]}]*+"""
# The look-behind makes a run of stops one attempt, however long it is.
_END = re.compile(
    rf"(?<![.!?…])(?P<stop>[.!?…]++|[।॥؟۔]){_CLOSERS}\s++"
    r"|[。！？｡]++[」』）】”’]*+\s*+"
    r"|\n[^\S\n]*+\n\s*+"
)
_LAST_WORD = re.compile(r"[^\s(\[{\"“‘«]{1,12}\Z")
_ABBREVIATIONS = """
mr mrs ms mx dr prof st sr jr rev hon gen col lt capt sgt maj cmdr adm gov sen rep pres
mt ft vs v etc cf al ca approx no nos vol vols pp p ed eds fig figs eq sec ch art par
jan feb mar apr jun jul aug sep sept oct nov dec inc ltd co corp bros dept univ assn
e.g i.e a.m p.m u.s u.k u.n d.c ph.d m.d b.a m.a z.b d.h bzw usw nr bd hrsg
"""
_KNOWN = frozenset(_ABBREVIATIONS.split())


def sentence_starts(text: str) -> list[int]:
    """Where sentences begin, as code points; none in a text of white space."""
    first = len(text) - len(text.lstrip())
    starts = [first] if first < len(text) else []
    for match in _END.finditer(text, first):
        start = match.end()
        if start < len(text) and _ends(text, match):
            starts.append(start)
    return starts


def _ends(text: str, match: re.Match[str]) -> bool:
    """Whether a sentence really ends with what matched."""
    stop = match["stop"]
    if stop is None or match.group().count("\n") > 1:
        return True
    if text[match.end()].islower():
        return False
    if stop != "." or match.end("stop") != match.start("stop") + 1:
        return True
    word = _LAST_WORD.search(text, max(0, match.start() - 12), match.start())
    if word is None:
        return True
    is_initial = len(word[0]) == 1 and word[0].isalpha() and word[0] != "I"
    return not is_initial and word[0].lower() not in _KNOWN


def rules_info() -> dict[str, Any]:
    """Name, version and SHA-256 of the rules, for the manifest."""
    rules = "\n".join([_END.pattern, _LAST_WORD.pattern, *sorted(_KNOWN)])
    digest = hashlib.sha256(rules.encode()).hexdigest()
    return {"name": NAME, "version": _VERSION, "sha256": digest}


class RuleAnnotator:
    """The annotate stage of a job whose pipeline is ``premask/rules``.

    Raises:
        RequestError: other tracks than sentences are asked for.
    """

    def __init__(self, settings: Annotate) -> None:
        check_rules(settings)

    def __call__(
        self, batches: Iterable[pa.RecordBatch], ledger: Ledger
    ) -> Iterator[pa.RecordBatch]:
        """Adds the sentence starts to batches of `premask.schemas.records.DOCUMENTS`."""
        del ledger
        kind = ANNOTATIONS[_COLUMN]
        for batch in batches:
            starts = [sentence_starts(text) for text in batch.column("text").to_pylist()]
            yield batch.append_column(pa.field(_COLUMN, kind), pa.array(starts, kind))


def check_rules(settings: Annotate) -> None:
    """Refuses what rules cannot find.

    Raises:
        RequestError: other tracks than sentences, or gazetteers, are asked for.
    """
    others = [
        track for track in settings.tracks if track not in ("sentences", "sentence_ranks")
    ]
    if others or settings.gazetteers:
        raise RequestError(
            f"{NAME} finds sentences and nothing else, asked for are "
            f"{', '.join(others) or 'gazetteers'}; set annotate.tracks: [sentences], or name a "
            "spaCy pipeline",
            location="annotate.tracks" if others else "annotate.gazetteers",
        )

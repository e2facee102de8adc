"""A row over several epochs as one self-contained HTML page, in the look of the audit's page.

No script, no request; whatever comes from the corpus or the set is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from premask.pipeline.audit.page import document
from premask.pipeline.show import Segment, View

MEANINGS = {
    "mask": "masked",
    "random": "replaced at random",
    "kept": "predicted, left as it is",
    "target": "to be predicted",
    "sentinel": "sentinel",
    "entity": "entity",
}
_CLASSES = {
    "mask": "masked",
    "random": "random",
    "kept": "kept",
    "target": "target",
    "sentinel": "sentinel",
    "entity": "ent",
    "special": "special",
}
# What the page of the audit has no style for.
_CSS = """<style>.row .target,.key .target{background:var(--good-bg);color:var(--good);
font-weight:600}.row .sentinel,.key .sentinel{background:var(--law);color:var(--card)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));
gap:4px 28px}.pair h4{margin:8px 0 0;font-size:.8rem;color:var(--soft)}
.key .ent{background:none;height:0;border-bottom:2px dotted var(--soft);border-radius:0}
section.card{margin-top:16px;break-inside:auto}</style>"""


def render(views: Sequence[View], lines: Sequence[str]) -> str:
    """The page of one row: `views` are its epochs, `lines` say where it comes from."""
    roles = {s.role for view in views for s in (*view.inputs, *view.targets)}
    key = "".join(
        f'<span><i class="{_CLASSES[role]}"></i>{escape(meaning)}</span>'
        for role, meaning in MEANINGS.items()
        if role in roles
    )
    title = f"Row {views[0].facts['row']}"
    body = [_CSS, f"<h1>{escape(title)}</h1>"]
    if lines:
        body.append(f"<pre>{escape(chr(10).join(lines))}</pre>")
    body += [f'<div class="key">{key}</div>', *map(_card, views)]
    return document(title, body)


def _card(view: View) -> str:
    epoch = view.facts.get("epoch")
    head = f"<h3>Epoch {escape(epoch)}</h3>" if epoch is not None else ""
    facts = ", ".join(
        f"{name} {value}"
        for name, value in view.facts.items()
        if value and name not in ("row", "epoch")
    )
    sides = [("inputs", view.inputs), ("targets", view.targets), *view.notes.items()]
    parts = "".join(
        f'<div><h4>{escape(title)}</h4><p class="row">{"".join(map(_mark, segments))}</p></div>'
        for title, segments in sides
        if segments
    )
    return (
        f'<section class="card">{head}<p class="note">{escape(facts)}</p>'
        f'<div class="pair">{parts}</div></section>'
    )


def _mark(segment: Segment) -> str:
    if segment.role == "text":
        return escape(segment.text)
    gap = " " if segment.text.startswith(" ") else ""
    body = escape(segment.text.removeprefix(" "))
    return f'{gap}<mark class="{_CLASSES[segment.role]}">{body}</mark>'

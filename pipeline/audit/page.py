"""The audit as one self-contained HTML page: no script, no request, readable on paper.

Made from the report (``audit.json``) alone. Whatever comes from the corpus is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from premask.pipeline.audit.page_style import CSS
from premask.pipeline.audit.sections import plots
from premask.pipeline.audit.summary import sentences, verdict

Report = Mapping[str, Any]


def render(report: Report) -> str:
    """The page of one audit."""
    policy = report["policy"]
    title = f"Mask audit: {policy['name']}" if policy else "Mask audit"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft"><code>{escape(str(report["data"]["location"]))}</code></p>',
        banner(report),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences(report)),
        _tiles(report),
        "<h2>What the policy promises</h2>" + promises(report) if report["promises"] else "",
        "<h2>What the masks do</h2>" + plots([report], ["measured"]),
        samples(report),
        _words(report),
        _about(report),
    ]
    return document(title, body)


def document(title: str, body: Sequence[str]) -> str:
    """A whole HTML document around `body`."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Nothing may be fetched or run, whatever text the corpus brings along.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def banner(report: Report) -> str:
    """The verdict in one box."""
    good, headline, text = verdict(report)
    return (
        f'<div class="verdict {"good" if good else "bad"}">'
        f'<span class="sign" aria-hidden="true">{"✓" if good else "✗"}</span>'
        f"<div><strong>{escape(headline)}</strong>{escape(text)}</div></div>"
    )


def _tiles(report: Report) -> str:
    totals, measures = report["totals"], report["measures"]
    tiles = [(f"{totals['rows']:,}", "rows"), (f"{totals['tokens']:,}", "tokens")]
    if report["epochs"] > 1:
        tiles.append((f"{report['epochs']}", "epochs looked at"))
    if totals.get("row_epochs"):
        tiles.append((f"{measures['masked_share']:.2%}", "of the text is masked"))
        empty = totals["empty_rows"] / max(totals["row_epochs"], 1)
        tiles.append((f"{empty:.2%}", "of the rows have no mask"))
    if report["epochs"] > 1 and sum(measures["coverage"]["tokens"]):
        tiles.append((f"{measures['coverage']['never']:.1%}", "of the text never masked"))
    if measures["sequences"]:
        tiles.append((f"{measures['sequences']['compression']:.2f}", "input per source token"))
    cells = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def promises(report: Report) -> str:
    """The table of promises, broken ones first."""
    rows = []
    for promise in sorted(report["promises"], key=lambda p: bool(p["passed"])):
        good = promise["passed"]
        method = promise["method"]
        if promise["p_value"] is not None:
            method += f", p = {promise['p_value']:.2g}"
        files = f" In {', '.join(promise['files'])}." if promise["files"] else ""
        rows.append(
            f'<tr class="{"" if good else "broken"}">'
            f'<td class="sign {"yes" if good else "no"}">{"✓" if good else "✗"}</td>'
            f"<td>{escape(promise['promise'])}</td>"
            f'<td data-name="found">{escape(promise["observed"] + files)}</td>'
            f'<td data-name="expected">{escape(promise["expected"])}</td>'
            f'<td data-name="test" class="note">{escape(method)}</td></tr>'
        )
    untested = "".join(
        f'<p class="note">Not tested: {escape(text)}</p>' for text in report["untested"]
    )
    return (
        '<div class="scroll"><table class="promises"><thead><tr><th></th><th>Promise</th>'
        "<th>Found</th><th>Expected</th><th>Test</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="note">Statistical tests are corrected for their number (Holm); the chance '
        f"of calling any kept promise broken is {report['significance']:g}. A deviation that "
        "is significant but too small to matter is let pass.</p>" + untested
    )


def samples(report: Report) -> str:
    """Rows with their masks in colour."""
    if not report["excerpts"]:
        return ""
    legend = (
        '<div class="key"><span><i class="masked"></i>shown as a mask</span>'
        '<span><i class="random"></i>replaced (by what stands small)</span>'
        '<span><i class="kept"></i>to be predicted, but left as it is</span>'
        "<span>dotted: a named entity</span></div>"
    )
    return "<h2>Rows to look at</h2>" + legend + "".join(map(_sample, report["excerpts"]))


def _sample(excerpt: Mapping[str, Any]) -> str:
    parts = [f'<section class="card" style="margin-top:14px"><h3>Row {excerpt["row"]:,}</h3>']
    for epoch, (states, reads) in enumerate(
        zip(excerpt["states"], excerpt["reads"], strict=True)
    ):
        tokens = "".join(
            _token(text, entity, state, reads.get(str(place), ""))
            for place, (text, entity, state) in enumerate(
                zip(excerpt["tokens"], excerpt["entities"], states, strict=True)
            )
        )
        label = (
            f'<span class="epoch">epoch {epoch}</span>' if len(excerpt["states"]) > 1 else ""
        )
        more = "" if excerpt["whole"] else " …"
        parts.append(f'{label}<p class="row">{tokens.strip()}{more}</p>')
    return "".join(parts) + "</section>"


def _token(text: str, entity: str, state: str, read: str) -> str:
    blank, body = (" ", text[1:]) if text.startswith(" ") else ("", text)
    styles = [state] if state != "plain" else []
    styles += ["ent"] if entity else []
    if not styles:
        return escape(text)
    title = f' title="{escape(entity)}"' if entity else ""
    below = f"<sub>{escape(read)}</sub>" if state == "random" and read else ""
    return f'{blank}<mark class="{" ".join(styles)}"{title}>{escape(body)}{below}</mark>'


def _words(report: Report) -> str:
    tokens = report["measures"]["tokens"]
    parts = []
    for field, title in (("most_masked", "Masked most"), ("least_masked", "Masked least")):
        if not tokens[field]:
            return ""
        items = "".join(
            f'<li><span class="name">{escape(token["text"].strip() or "␣")}</span>'
            f'<span class="note">{token["masked"]:,} of {token["tokens"]:,}</span>'
            f'<span class="value">{token["share"]:.1%}</span></li>'
            for token in tokens[field]
        )
        parts.append(
            f'<section class="card"><h3>{title}</h3><p>Among tokens that are frequent '
            f'enough to say.</p><ul class="bars words">{items}</ul></section>'
        )
    return f'<h2>Single tokens</h2><div class="grid">{"".join(parts)}</div>'


def _about(report: Report) -> str:
    policy = report["policy"]
    law = ""
    if policy:
        deviations = "".join(f"<li>{escape(text)}</li>" for text in policy["deviations"])
        law = f"<p>{escape(policy['law'])}</p>" + (
            f"<p>On purpose different from its source:</p><ul>{deviations}</ul>"
            if deviations
            else ""
        )
    data = json.dumps(
        {"data": report["data"], "policy": policy, "totals": report["totals"]},
        indent=2,
        ensure_ascii=False,
    )
    return (
        f"<h2>What was audited</h2>{law}<details><summary>Data, policy and totals</summary>"
        f"<pre>{escape(data)}</pre></details>"
        '<footer class="note">Made by <code>premask audit</code>. All figures, and the rows '
        "above, stand in <code>audit.json</code> beside this page.</footer>"
    )

"""The style of ``audit.html``: light and dark, phone and paper. One string, no import."""

from __future__ import annotations

CSS = """
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#1d2230;--soft:#5f6779;
--line:#e4e2dc;--a:#3f6fb5;--b:#d98a29;--law:#b1365c;--good:#1f7a4d;--good-bg:#e2f3e9;
--bad:#b3261e;--bad-bg:#fbe6e3;--masked:#f6c945;--masked-ink:#3a2c00;--random:#b9a5ea;
--random-ink:#271650;--kept:#a8dcc0;--kept-ink:#0c3a22;--mono:ui-monospace,SFMono-Regular,
Menlo,Consolas,monospace}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14161c;--card:#1c1f28;
--ink:#e6e8ee;
--soft:#9aa3b5;--line:#2f3442;--a:#7fa8e6;--b:#eaa653;--law:#f07fa3;--good:#6fd3a0;
--good-bg:#16352a;--bad:#ff9d93;--bad-bg:#42201e;--masked:#c99a16;--masked-ink:#171000;
--random:#7f66c4;--random-ink:#fff;--kept:#3b8a63;--kept-ink:#fff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:1.25rem;margin:44px 0 12px}
h3{font-size:1rem;margin:0 0 2px}
p{margin:0 0 10px;max-width:72ch}
.soft,.note{color:var(--soft)}
.note{font-size:.875rem}
code{font-family:var(--mono);font-size:.9em;overflow-wrap:anywhere}
.verdict{display:flex;gap:14px;align-items:flex-start;border-radius:12px;padding:16px 20px;
margin:22px 0;font-size:1.06rem}
.verdict .sign{font-size:1.7rem;line-height:1.15}
.verdict strong{display:block;font-size:1.2rem}
.verdict.good{background:var(--good-bg)}
.verdict.good strong,.verdict.good .sign{color:var(--good)}
.verdict.bad{background:var(--bad-bg)}.verdict.bad strong,.verdict.bad .sign{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;
margin:20px 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tile{padding:12px 16px}
.tile b{display:block;font-size:1.45rem;font-variant-numeric:tabular-nums;line-height:1.25}
.tile span{color:var(--soft);font-size:.85rem}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));
gap:16px}
.card{padding:16px 18px;break-inside:avoid;min-width:0}
.card p{font-size:.875rem;color:var(--soft);margin-bottom:8px}
svg{display:block;width:100%;height:auto}
svg .rule{stroke:var(--line)}
svg .tick{font-size:10.5px;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .axis{font-size:11px;fill:var(--soft)}
svg rect.a{fill:var(--a)}svg rect.b{fill:var(--b)}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .line.a{stroke:var(--a)}svg .line.b{stroke:var(--b)}
svg .line.law,svg line.law{stroke:var(--law);stroke-width:1.8;stroke-dasharray:5 3}
svg .dot{fill:transparent}svg .dot:hover{fill:var(--ink)}
svg rect:hover{opacity:.75}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:.82rem;color:var(--soft);
margin:4px 0 0}
.key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px;
vertical-align:-1px}
.key .a{background:var(--a)}.key .b{background:var(--b)}
.key .law{height:0;border-top:2px dashed var(--law);border-radius:0;width:18px;
vertical-align:4px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.8rem}
th,td{padding:8px 12px 8px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.sign{font-weight:700;width:1.6em}.yes{color:var(--good)}.no{color:var(--bad)}
tr.broken td{background:var(--bad-bg)}
.bars{list-style:none;margin:8px 0 0;padding:0;font-size:.88rem}
.bars li{display:grid;grid-template-columns:minmax(74px,30%) 1fr auto;gap:10px;
align-items:center;padding:2px 0}
.bars .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bars .value{color:var(--soft);font-variant-numeric:tabular-nums;min-width:3.6em;
text-align:right}
.tracks{display:grid;gap:2px}
.track{position:relative;height:11px;background:var(--line);border-radius:3px;overflow:hidden}
.tracks .track:nth-last-child(n+2),.tracks .track:nth-child(n+2){height:7px}
.track b{display:block;height:100%;border-radius:3px}
.track .a{background:var(--a)}.track .b{background:var(--b)}
.track .mark{position:absolute;top:0;bottom:0;width:2px;background:var(--law)}
.row{font-size:1rem;line-height:2;overflow-wrap:anywhere;white-space:pre-wrap;
margin:6px 0 12px;
max-width:none;color:var(--ink)!important}
.row mark{color:inherit;background:none;border-radius:4px;padding:2px 1px}
.row .masked,.key .masked{background:var(--masked);color:var(--masked-ink)}
.row .random,.key .random{background:var(--random);color:var(--random-ink)}
.row .kept,.key .kept{background:var(--kept);color:var(--kept-ink)}
.row .special{color:var(--soft);font-size:.8em}
.row .ent{border-bottom:2px dotted var(--soft)}
.row sub{font-size:.68em;font-family:var(--mono);opacity:.85;margin-left:3px}
.epoch{display:inline-block;font-size:.74rem;color:var(--soft);border:1px solid var(--line);
border-radius:99px;padding:0 9px}
.words{columns:2 220px;column-gap:28px}
.words li{break-inside:avoid}
details{margin:14px 0}summary{cursor:pointer;color:var(--soft)}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:.82rem/1.5 var(--mono);
background:var(--card);
border:1px solid var(--line);border-radius:10px;padding:14px}
footer{margin-top:48px;border-top:1px solid var(--line);padding-top:14px}
@media (max-width:640px){main{padding:20px 14px 40px}h1{font-size:1.5rem}
table.promises thead{display:none}
table.promises tr{display:grid;grid-template-columns:1.8em 1fr;
border-bottom:1px solid var(--line);
padding:8px 0}
table.promises td{border:0;padding:1px 0}
table.promises td:nth-child(n+3){grid-column:2;font-size:.86rem;color:var(--soft)}
table.promises td[data-name]::before{content:attr(data-name) ": "}
table.promises tr:not(.broken) td[data-name=expected],
table.promises tr:not(.broken) td[data-name=test]{display:none}}
@media print{:root{color-scheme:light;--paper:#fff}body{font-size:11pt}main{max-width:none;
padding:0}
.grid{grid-template-columns:1fr 1fr}.card,.tile{border-color:#ccc}h2{break-after:avoid}
.row mark,.track,.track b,svg,.verdict,.key i{print-color-adjust:exact;
-webkit-print-color-adjust:exact}}
"""

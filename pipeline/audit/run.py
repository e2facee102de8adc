"""From a location and a policy to a report: what `premask audit` and Python callers use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from premask._errors import RequestError
from premask._format import MANIFEST_FILE, TOKENIZER_FILE
from premask.masking.policy import Policy, policy
from premask.pipeline.audit.collect import collect
from premask.pipeline.audit.excerpts import excerpts
from premask.pipeline.audit.expectation import Expectation, expectation_of
from premask.pipeline.audit.foreign import ForeignData
from premask.pipeline.audit.inputs import AuditInput, DynamicShards
from premask.pipeline.audit.page import render
from premask.pipeline.audit.promises import SIGNIFICANCE, check_promises
from premask.pipeline.audit.report import build_report
from premask.pipeline.audit.span_reference import OPERATIONS as SPAN_OPERATIONS
from premask.pipeline.audit.span_reference import reference_word_runs, sample
from premask.pipeline.audit.static import StaticShards
from premask.pipeline.audit.words import Speller, plain_ids, speller
from premask.pipeline.engine import Engine
from premask.pipeline.output import Output, absolute
from premask.shards import ShardSet, open_shards

DEFAULT_EPOCHS = 5
DEFAULT_POLICY = "random"
JSON_FILE, PAGE_FILE = "audit.json", "audit.html"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to audit, resolved.

    Attributes:
        source: the data.
        policy: what it is said to follow; None if nobody says.
        about: the data, described with plain values.
        tracks: names of the tracks' codes.
        spell: ids to text.
    """

    source: AuditInput
    policy: Policy | None
    about: Mapping[str, Any]
    tracks: Mapping[str, tuple[str, ...]]
    spell: Speller


def resolve(
    location: str, value: Policy | None, *, epochs: int | None, tokenizer: str | None
) -> Request:
    """Finds out what `location` holds, and with which policy it is to be compared.

    Args:
        location: a shard set (a path or URL), or a saved Hugging Face data set.
        value: the policy to hold it to; None: that of a static set, ``random`` for a dynamic
            one, none for foreign data.
        epochs: epochs to look at; dynamic sets only.
        tokenizer: foreign data: what tells what their ids mean.

    Raises:
        RequestError: nothing is there, or the options do not fit what is there.
    """
    if _is_foreign(location):
        return _foreign(location, value, tokenizer)
    shards = open_shards(location)
    static = shards.manifest.mode == "static"
    if static and epochs is not None:
        raise RequestError("a static set has its epochs in it", location="--epochs")
    if tokenizer is not None:
        raise RequestError("a shard set has its own tokenizer", location="--tokenizer")
    chosen = _static_policy(shards, value) if static else value or policy(DEFAULT_POLICY)
    source: AuditInput = (
        StaticShards(location=absolute(location), policy=chosen)
        if static or chosen is None
        else DynamicShards(absolute(location), chosen, epochs or DEFAULT_EPOCHS)
    )
    for first in source.tasks()[:1]:
        # Rows that lack what the policy needs are better refused before any work starts.
        next(source.blocks(replace(first, stop=first.start + 1)))
    return Request(
        source=source,
        policy=chosen,
        about=_about_shards(location, shards),
        tracks=shards.tracks,
        spell=speller(Output.at(location).read(TOKENIZER_FILE), shards.vocabulary.special_ids),
    )


def audit(
    request: Request, engine: Engine, *, significance: float, progress: Progress
) -> dict[str, Any]:
    """The report of one audit, see `premask.pipeline.audit.report`."""
    expectation = (
        expectation_of(request.policy, max_length=request.source.max_length)
        if request.policy
        else Expectation(in_place=True, spares_specials=True)
    )
    expectation = _with_reference(request, expectation)
    collected = collect(request.source, expectation, engine, progress)
    findings = check_promises(
        collected.statistics, expectation, collected.vocabulary, significance=significance
    )
    return build_report(
        about={
            "data": request.about,
            "policy": _about_policy(request.policy),
            "epochs": request.source.num_epochs,
            "significance": significance,
        },
        collected=collected,
        expectation=expectation,
        findings=findings,
        excerpts=excerpts(
            request.source, request.spell, request.tracks.get("entity_labels", ())
        ),
        spell=request.spell,
        tracks=request.tracks,
    )


def _with_reference(request: Request, expectation: Expectation) -> Expectation:
    """For policies of spans, the lengths that the procedure itself gives on these rows."""
    held = request.policy
    if held is None or held.operation not in SPAN_OPERATIONS or expectation.budget is None:
        return expectation
    runs = reference_word_runs(
        sample(request.source), held.operation, held.parameters, expectation.budget
    )
    return replace(expectation, word_runs=runs)


def write(report: Mapping[str, Any], out: Path, page: str | None = None) -> None:
    """Writes ``audit.json`` and ``audit.html`` into `out`, which is made if need be."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, sort_keys=True)
    (out / JSON_FILE).write_text(text + "\n", encoding="utf-8")
    (out / PAGE_FILE).write_text(page or render(report), encoding="utf-8")


def _is_foreign(location: str) -> bool:
    path = Path(location)
    return path.is_dir() and not (path / MANIFEST_FILE).exists()


def _foreign(location: str, value: Policy | None, tokenizer: str | None) -> Request:
    source = ForeignData(location=absolute(location), tokenizer=tokenizer)
    loaded = source.loaded
    return Request(
        source=source,
        policy=value,
        about={"location": location, "kind": "data set", "rows": len(source.data)},
        tracks={},
        spell=speller(loaded.json, loaded.vocabulary.special_ids) if loaded else plain_ids,
    )


def _static_policy(shards: ShardSet, value: Policy | None) -> Policy | None:
    if value is not None:
        return value
    stored = shards.manifest.policy
    if stored is None:
        return None
    return policy(stored["definition"])


def _about_policy(value: Policy | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        **value.to_dict(),
        "fingerprint": value.fingerprint,
        "law": value.law,
        "deviations": list(value.deviations),
    }


def _about_shards(location: str, shards: ShardSet) -> dict[str, Any]:
    manifest = shards.manifest
    return {
        "location": location,
        "kind": f"{manifest.mode} shard set",
        "manifest_sha256": manifest.sha256,
        "rows": manifest.num_rows,
        "tokens": manifest.num_tokens,
        "shards": len(manifest.shards),
        "max_length": manifest.max_length,
        "totals": dict(manifest.totals),
        "tokenizer": dict(manifest.tokenizer),
        "annotator": dict(manifest.annotator) if manifest.annotator else None,
    }


__all__ = [
    "DEFAULT_EPOCHS",
    "SIGNIFICANCE",
    "Request",
    "audit",
    "resolve",
    "write",
]

"""``premask audit``: measures masks and tests what their policy promises."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from premask._errors import RequestError
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.commands.guard import guarded

if TYPE_CHECKING:
    from premask.masking.policy import Policy
    from premask.pipeline.engine import Engine

_RUN = "How it runs"
_MOST = 2


@guarded
def audit(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="SHARDS [OTHER]",
            help="Shard set, or a saved data set with input_ids and labels; two to compare.",
            show_default=False,
        ),
    ],
    policies: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME|FILE",
            help="Preset or policy file; twice to compare two. Default: random, or that of a "
            "static set.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a parameter, as rate=0.3."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to look at; default: 5.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory for audit.json and audit.html.")] = Path(
        "audit"
    ),
    tokenizer: Annotated[
        str | None, typer.Option(help="What the ids of a foreign data set mean.")
    ] = None,
    significance: Annotated[
        float,
        typer.Option(min=1e-9, max=0.5, help="Chance of a false alarm over all tests."),
    ] = 0.001,
    engine: Annotated[str, typer.Option(help="local or ray.", rich_help_panel=_RUN)] = "local",
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Ray workers; default: all cores.", rich_help_panel=_RUN),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Measure what masks do, and test what their policy promises.

    Writes audit.json and audit.html. The exit status is 1 if a promise is broken.
    """
    from premask.pipeline.audit.compare import render_comparison
    from premask.pipeline.audit.run import audit as run_audit
    from premask.pipeline.audit.run import resolve, write
    from premask.pipeline.audit.summary import verdict

    if changes and not policies:
        raise RequestError("--set changes a policy; name it with --policy", location="--set")
    chosen_policies = [choose_policy(name, changes or ()) for name in policies or ()]
    pairs = _pair(data, chosen_policies)
    requests = [resolve(one, held, epochs=epochs, tokenizer=tokenizer) for one, held in pairs]
    chosen = _engine(engine, workers)
    progress = _silent if quiet or not sys.stderr.isatty() else _progress
    reports = [
        run_audit(request, chosen, significance=significance, progress=progress)
        for request in requests
    ]
    if len(reports) == 1:
        write(reports[0], out)
    else:
        first, second = reports
        write({"a": first, "b": second}, out, render_comparison(first, second))
    for report in reports:
        good, headline, text = verdict(report)
        name = report["policy"]["name"] if report["policy"] else "no policy"
        print(f"{'✓' if good else '✗'} {report['data']['location']} ({name}): {headline}")
        print(f"  {text}")
    print(f"{out / 'audit.html'}")
    if not all(report["passed"] for report in reports):
        sys.exit(1)


def _pair(data: list[str], policies: list[Policy]) -> list[tuple[str, Policy | None]]:
    """What to audit under which policy: one, or two to compare."""
    if len(data) > _MOST or len(policies) > _MOST:
        raise RequestError(
            f"at most two can be compared, got {len(data)} sets and {len(policies)} policies",
            location="audit",
        )
    named: list[Policy | None] = [*policies] or [None]
    count = max(len(data), len(named))
    return list(zip(data * (count // len(data)), named * (count // len(named)), strict=True))


def _engine(name: str, workers: int | None) -> Engine:
    if name == "local" and workers is None:
        from premask.pipeline.local import LocalEngine

        return LocalEngine()
    if name not in ("local", "ray"):
        raise RequestError(f"the engine is local or ray, got {name!r}", location="--engine")
    from premask.pipeline.ray_engine import RayEngine

    options: dict[str, Any] = {"workers": workers, "address": None, "retries": 1}
    return RayEngine(**options, unit_timeout=3600.0)


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\rmeasured {done} of {total} parts", end=end, file=sys.stderr, flush=True)


def _silent(done: int, total: int) -> None:
    del done, total

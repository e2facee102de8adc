"""``premask info``: what is in a shard set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from premask.kernels import available_kernels
from premask.pipeline.commands.guard import guarded
from premask.pipeline.tally import plural

if TYPE_CHECKING:
    from premask.manifest import Manifest


@guarded
def info(
    shards: Annotated[str, typer.Argument(help="Directory or URL of a shard set.")],
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Show what a shard set holds and what made it. Reads the manifest alone."""
    from premask.pipeline.output import Output
    from premask.pipeline.session import read_manifest

    manifest = read_manifest(Output.at(shards))
    if as_json:
        print(manifest.to_bytes().decode(), end="")
        return
    for name, value in describe(manifest):
        print(f"{name:<12} {value}")


def describe(manifest: Manifest) -> list[tuple[str, str]]:
    """Lines for a reader: name and value."""
    totals = manifest.totals
    num_bytes = sum(shard.num_bytes for shard in manifest.shards)
    rows = manifest.num_rows
    mean = manifest.num_tokens / rows if rows else 0
    lines = [
        ("mode", manifest.mode),
        ("shards", f"{len(manifest.shards):,} ({num_bytes:,} bytes)"),
        ("rows", f"{rows:,} (at most {manifest.max_length} tokens, {mean:.1f} on average)"),
        ("tokens", f"{manifest.num_tokens:,}"),
    ]
    if "documents_read" in totals:
        lines.append(
            (
                "documents",
                f"{totals['documents_read']:,} read, {totals['documents_kept']:,} kept, "
                f"{totals['documents_rejected']:,} rejected",
            )
        )
    for details in ("rejected_by_reason", "counters"):
        found = sorted(totals.get(details, {}).items())
        lines += [(f"  {name}", f"{number:,}") for name, number in found]
    return [*lines, *_contents(manifest)]


def _contents(manifest: Manifest) -> list[tuple[str, str]]:
    """Columns, and what they were made with."""
    lines: list[tuple[str, str]] = []
    lines.append(
        ("tokenizer", f"{manifest.tokenizer.get('model')}, {manifest.vocabulary.size:,} ids")
    )
    lines += [("column", f"{name}: {kind}") for name, kind in manifest.columns.items()]
    lines += [
        ("track", f"{name}: {len(names) - 1} names") for name, names in manifest.tracks.items()
    ]
    if manifest.annotator is not None:
        name, version = manifest.annotator.get("name"), manifest.annotator.get("version")
        lines.append(("annotator", f"{name} {version}"))
    if manifest.policy is not None:
        name, epochs = manifest.policy.get("name"), manifest.policy.get("epochs")
        lines.append(("policy", f"{name}, {plural(int(epochs or 0), 'epoch')}"))
    sources = manifest.job.get("sources", ())
    lines += [("source", f"{source['path']} ({source['format']})") for source in sources]
    lines.append(("kernels", ", ".join(available_kernels())))
    lines += [("job", manifest.job_fingerprint), ("manifest", manifest.sha256)]
    return lines

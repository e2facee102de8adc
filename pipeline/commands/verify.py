"""``premask verify``: is every byte of a shard set what the manifest says?"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from premask.pipeline.commands.guard import guarded, leave


@guarded
def verify(
    shards: Annotated[str, typer.Argument(help="Directory or URL of a shard set.")],
) -> None:
    """Check sizes, checksums, columns, offsets and counts of a shard set."""
    from premask.pipeline.verify import verify as find_faults

    manifest, faults = find_faults(shards)
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    if faults:
        leave(f"{len(faults)} faults; copy or build the set again - at {shards}", 1)
    print(
        f"{shards}: good: {len(manifest.shards)} shards, {manifest.num_rows:,} rows, "
        f"{manifest.num_tokens:,} tokens"
    )

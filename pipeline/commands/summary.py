"""What a finished set is, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from premask.pipeline.tally import plural

if TYPE_CHECKING:
    from premask.pipeline.session import Built


def summary(built: Built) -> str:
    """One line for standard output."""
    manifest, totals = built.manifest, built.manifest.totals
    state = "" if built.fresh else " is already complete"
    text = (
        f"{built.output.root}{state}: {len(manifest.shards)} shards, "
        f"{manifest.num_rows:,} rows, {manifest.num_tokens:,} tokens"
    )
    if manifest.policy is not None:
        name, epochs = manifest.policy["name"], manifest.policy["epochs"]
        return f"{text}; policy {name}, {plural(epochs, 'epoch')}"
    return (
        f"{text}; documents: {totals['documents_read']:,} read, "
        f"{totals['documents_kept']:,} kept, {totals['documents_rejected']:,} rejected"
    )

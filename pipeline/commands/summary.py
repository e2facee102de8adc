"""What a finished set is, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from premask.pipeline.tally import plural

if TYPE_CHECKING:
    from premask.manifest import Manifest
    from premask.pipeline.session import Built

_MUCH_UNKNOWN = 0.01


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
        f"{_unknown(manifest)}"
    )


def _unknown(manifest: Manifest) -> str:
    """A word on text that the tokenizer does not know, where there is much of it."""
    count = manifest.totals["counters"].get("unknown_tokens", 0)
    share = count / max(1, manifest.num_tokens)
    return f"; {share:.1%} of the tokens are unknown ones" if share > _MUCH_UNKNOWN else ""

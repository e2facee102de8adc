"""Chooses the source of a loader's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from premask._errors import FormatError, RequestError
from premask._numbers import SEEDS, whole
from premask.batching.assemble import PadTo, columns_of
from premask.batching.buckets import MIN_BUCKET_ROWS
from premask.batching.budget import TokenBudget
from premask.batching.source import SetSource, Source
from premask.batching.spans import Spans
from premask.masking.policy import Policy
from premask.mixture import MixedSource, Mixture
from premask.order import Shuffle, check_shuffle
from premask.shards import ShardSet, open_shards
from premask.split import Part, Split

StoredEpochs = Literal["current", "all"]


class Order(NamedTuple):
    """In which order rows come: see `premask.order.RowOrder` and `premask.batching.buckets`.

    Any values can be in here; `check` refuses those that make no order.
    """

    seed: int
    shuffle: Shuffle
    block_rows: int
    window: int
    bucket_rows: int | None

    def check(self) -> None:
        """Raises `RequestError` for what makes no order."""
        whole("seed", self.seed, below=SEEDS)
        check_shuffle(self.shuffle, self.block_rows, self.window)
        if self.bucket_rows is not None and self.bucket_rows < MIN_BUCKET_ROWS:
            raise RequestError(
                f"bucket_rows must be at least {MIN_BUCKET_ROWS}, got {self.bucket_rows}; "
                "several thousand are usual"
            )


def as_source(
    shards: ShardSet | Mixture | str | Path,
    policy: Policy | None,
    order: Order,
    holdout: float,
    part: Part,
    stored_epochs: StoredEpochs,
) -> Source:
    """The rows that take part, in the order that is asked for; see `premask.Loader`."""
    order.check()
    if part != "train" and not holdout:
        raise RequestError(
            f"part={part!r} needs the share that is held out, such as holdout=0.01, the same "
            "as the training run's"
        )
    if isinstance(shards, (str, Path)):
        shards = open_shards(shards)
    if not isinstance(shards, (ShardSet, Mixture)):
        raise RequestError(
            f"shards must be what open_shards returns, a Mixture or a path, got {shards!r}; "
            "several sets together are a Mixture"
        )

    def source(one: ShardSet) -> SetSource:
        epochs = _epochs_of(one, stored_epochs)
        rows = len(one) // (epochs or 1)
        return SetSource(
            shards=one,
            **order._asdict(),
            columns=columns_of(policy, one.manifest),
            split=Split(one, holdout=holdout, part=part, num_rows=rows) if holdout else None,
            stored_epochs=epochs,
        )

    if isinstance(shards, Mixture):
        members = tuple(source(one) for one in shards.sets)
        return MixedSource(members=members, weights=shards.weights, epoch_rows=shards.num_rows)
    return source(shards)


def _epochs_of(shards: ShardSet, stored_epochs: StoredEpochs) -> int | None:
    """How many epochs of its rows a static set holds, where each is to be delivered alone."""
    if stored_epochs not in ("current", "all"):
        raise RequestError(f"unknown stored_epochs {stored_epochs!r}; use 'current' or 'all'")
    if shards.manifest.mode == "dynamic":
        if stored_epochs == "all":
            raise RequestError(
                "stored_epochs='all' needs a static set; this one is dynamic, and each of its "
                "epochs is masked when it is loaded",
                location=shards.location,
            )
        return None
    epochs = int((shards.manifest.policy or {}).get("epochs", 1))
    if epochs < 1 or len(shards) % epochs:
        raise FormatError(
            f"{len(shards)} rows are no {epochs} epochs of equal size; freeze the set again",
            location=shards.location,
        )
    return epochs if stored_epochs == "current" else None


def make_spans(
    source: Source,
    batch_size: int,
    ranked: tuple[int, int],
    drop_last: bool,
    max_tokens: int | None,
    pad_to: PadTo,
) -> Spans | TokenBudget:
    """How the positions of an epoch become batches of one rank; see `premask.Loader`."""
    rank, world_size = ranked
    batch_size = whole("batch_size", batch_size, least=1)
    if max_tokens is None:
        return Spans(
            num_rows=source.num_rows,
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
        )
    longest = source.binding.max_length
    return TokenBudget(
        num_rows=source.num_rows,
        batch_size=batch_size,
        rank=rank,
        world_size=world_size,
        drop_last=drop_last,
        max_tokens=whole("max_tokens", max_tokens, least=1),
        longest=longest,
        # A batch padded to "max" is as wide as the longest row, whatever is in it.
        multiple=longest if pad_to == "max" else pad_to or 1,
        lengths_at=source.lengths_at,
    )


def needs_step(policy: Policy | None, max_tokens: int | None) -> bool:
    """Whether masks depend on the step of the run, which then has to be known."""
    by_step = policy is not None and policy.depends_on_step
    if by_step and max_tokens is not None:
        raise RequestError(
            "the policy depends on the step of the run, and batches by max_tokens have no "
            "fixed number of steps; leave max_tokens out, or use epochs instead of steps"
        )
    return by_step

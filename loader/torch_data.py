"""A `torch.utils.data.DataLoader` over a `Loader`, for trainers that insist on one.

Hugging Face Trainer, Accelerate, Lightning, Fabric, Composer and others take a `DataLoader`
apart and put it together again: they shard it, wrap its sampler, skip its first batches. None
of that can move a mask here, because what travels to the workers as an index is the whole truth
about a batch: its epoch and its positions. Workers keep no state.

::

    loader = premask.Loader("out/", policy="random", batch_size=32)
    for batch in data_loader(loader, num_workers=2):
        ...

What the frameworks look for: a sampler that is a `DistributedSampler` (Lightning and Composer
then leave it alone), `set_epoch` on the loader and on its samplers, `state_dict`, and the mark
by which Accelerate knows a loader that already serves one rank only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from premask._errors import RequestError
from premask.batching.assemble import Batch
from premask.batching.spans import Cut
from premask.loader import Loader
from torch.utils.data import BatchSampler, DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler


class BatchKey(NamedTuple):
    """All that a worker needs to know of a batch: its epoch and its positions there."""

    epoch: int
    cut: Cut


class _Batches(Dataset[Batch]):
    """Batches by their keys."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return self._loader.num_rows

    def __getitem__(self, key: BatchKey) -> Batch:
        return self._loader.at(key.epoch, key.cut)

    def state_dict(self, num_samples: int = 0, from_beginning: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The state of the loader: Composer asks the dataset for it, and says how far it is.

        The loader knows that itself; the arguments are those of Composer's call.
        """
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Loader.load_state_dict`."""
        self._loader.load_state_dict(state)

    def __getitems__(self, key: BatchKey) -> Batch:
        if not isinstance(key, BatchKey):
            raise RequestError(
                f"expected a batch key, got {type(key).__name__}: something replaced the "
                "sampler of this loader; it serves one rank already and must not be sharded"
            )
        return self[key]


class _Sampler(DistributedSampler[BatchKey]):
    """The keys of this rank's batches, from where its loader stands."""

    def __init__(self, dataset: _Batches, loader: Loader) -> None:
        super().__init__(dataset, num_replicas=loader.world_size, rank=loader.rank)
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[BatchKey]:
        epoch, cuts = self._loader.take_cuts()
        return (BatchKey(epoch, cut) for cut in cuts)

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self._loader.set_epoch(epoch)


class _BatchSampler(BatchSampler):
    """Hands the sampler's keys on: each is a batch."""

    sampler: Any  # a _Sampler, or what a framework put around it

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)

    def set_epoch(self, epoch: int) -> None:
        self.sampler.set_epoch(epoch)


def _same(batch: Any) -> Any:
    return batch


class TorchLoader(DataLoader[Batch]):
    """What `data_loader` returns. Epochs, state and length are those of its `Loader`."""

    _is_accelerate_prepared = True

    def __init__(self, loader: Loader, **options: Any) -> None:
        dataset = _Batches(loader)
        sampler: Any = _Sampler(dataset, loader)
        super().__init__(
            dataset,
            batch_size=loader.batch_size,
            sampler=sampler,
            drop_last=True,
            collate_fn=_same,
            **options,
        )
        # torch forbids to give both a sampler and a batch sampler; frameworks look at both.
        self.__dict__["batch_sampler"] = _BatchSampler(sampler, loader.batch_size, True)
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        return self._loader.counted(batches)

    def set_epoch(self, epoch: int) -> None:
        """See `Loader.set_epoch`."""
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """See `Loader.state_dict`; batches that workers made ahead do not count."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Loader.load_state_dict`."""
        self._loader.load_state_dict(state)


def data_loader(
    loader: Loader,
    *,
    num_workers: int = 0,
    persistent_workers: bool = False,
    pin_memory: bool = False,
    prefetch_factor: int | None = None,
) -> TorchLoader:
    """A torch `DataLoader` that delivers the batches of `loader`.

    Args:
        loader: with the torch backend; what it makes on a CUDA device cannot come from workers.
        num_workers, persistent_workers, pin_memory, prefetch_factor: as torch has them.

    Raises:
        RequestError: `loader` cannot serve workers.
    """
    if not isinstance(loader, Loader):
        raise RequestError(f"data_loader takes a premask.Loader, got {loader!r}")
    if loader.backend != "torch":
        raise RequestError(f"data_loader needs backend='torch', got {loader.backend!r}")
    if num_workers and loader.on_cuda:
        raise RequestError(
            f"{num_workers} workers cannot make batches on a CUDA device; use num_workers=0, "
            "or iterate the Loader itself, which works ahead in a thread"
        )
    if num_workers and loader.masker is not None and loader.masker.policy.takes_feedback:
        raise RequestError(
            f"{num_workers} workers would not see the losses that are fed back to policy "
            f"{loader.masker.policy.name!r}; use num_workers=0"
        )
    return TorchLoader(
        loader,
        num_workers=num_workers,
        persistent_workers=persistent_workers,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor,
    )

"""What Composer's trainer asks of a loader, call by call.

Composer itself pins old versions of torch and torchvision, so it is not installed for the
tests; `examples/composer_fit.py` runs where it is. These are the calls of Composer 0.32:
``core/data_spec.py``, ``core/state.py`` (dataset state) and ``trainer/trainer.py`` (the loop).
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Mapping
from typing import Any

import premask
import pytest
import torch
from premask.torch_data import TorchLoader, data_loader
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

# JAX, which other tests load, warns of every fork; these workers never touch it.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
BATCH_SIZE = 8


def loader(shards: premask.ShardSet, num_workers: int = 0, **options: Any) -> TorchLoader:
    one = premask.Loader(shards, policy="random", batch_size=BATCH_SIZE, **options)
    return data_loader(one, num_workers=num_workers)


def fit(batches: TorchLoader, start: tuple[int, int], stop: tuple[int, int]) -> list[Any]:
    """The batches from one (epoch, batch) to another, read as Composer's loop reads them."""
    epoch, batch = start
    found: list[Any] = []
    while (epoch, batch) < stop:
        sampler: Any = batches.sampler
        sampler.set_epoch(epoch)
        wanted = stop[1] - batch if epoch == stop[0] else None
        found += itertools.islice(batches, wanted)
        epoch, batch = (epoch, stop[1]) if epoch == stop[0] else (epoch + 1, 0)
    return found


def test_a_rank_has_a_sampler_that_composer_leaves_alone(shards: premask.ShardSet) -> None:
    batches = loader(shards, rank=1, world_size=2)
    assert isinstance(batches, DataLoader)
    assert isinstance(batches.sampler, DistributedSampler)
    assert batches.batch_size == BATCH_SIZE
    assert len(batches) == len(shards) // (2 * BATCH_SIZE)


def test_batches_split_into_microbatches(shards: premask.ShardSet) -> None:
    batch = next(iter(loader(shards)))
    assert isinstance(batch, Mapping)
    assert all(isinstance(x, torch.Tensor) and len(x) == BATCH_SIZE for x in batch.values())
    assert {len(x.split(3)) for x in batch.values()} == {3}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_checkpoint_of_the_dataset_resumes_within_an_epoch(
    shards: premask.ShardSet, num_workers: int
) -> None:
    whole = fit(loader(shards), (0, 0), (2, 0))
    stopped = loader(shards, num_workers)
    sampler: Any = stopped.sampler
    sampler.set_epoch(0)
    iterator = iter(stopped)
    first = [next(iterator) for _ in range(5)]
    dataset: Any = stopped.dataset
    saved = pickle.dumps(dataset.state_dict(5 * BATCH_SIZE, True))
    resumed = loader(shards, num_workers)
    dataset = resumed.dataset
    dataset.load_state_dict(pickle.loads(saved))
    found = first + fit(resumed, (0, 5), (2, 0))
    assert len(found) == len(whole) == 2 * len(resumed)
    for left, right in zip(found, whole, strict=True):
        assert all(torch.equal(left[name], right[name]) for name in right)


def test_a_checkpoint_at_the_end_of_an_epoch_begins_the_next(shards: premask.ShardSet) -> None:
    batches = loader(shards)
    fit(batches, (0, 0), (1, 0))
    dataset: Any = batches.dataset
    state = dataset.state_dict(0, True)
    assert (state["epoch"], state["rows_consumed"]) == (1, 0)

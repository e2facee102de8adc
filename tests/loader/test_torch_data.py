"""Torch's `DataLoader` and the frameworks that take it apart: the batches stay the same."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
import torch
from premask.torch_data import TorchLoader, data_loader

# JAX, which other tests load, warns of every fork; these workers never touch it.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
BATCH_SIZE = 8


def make(shards: premask.ShardSet, **changes: Any) -> premask.Loader:
    options: dict[str, Any] = {"policy": "random", "batch_size": BATCH_SIZE, **changes}
    return premask.Loader(shards, **options)


def signature(batch: dict[str, Any]) -> bytes:
    return b"".join(np.asarray(batch[name]).tobytes() for name in ("input_ids", "labels"))


def signatures(batches: Iterable[dict[str, Any]]) -> list[bytes]:
    return [signature(batch) for batch in batches]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    """Tiny models only wait for each other's threads."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def truth(shards: premask.ShardSet) -> list[list[bytes]]:
    """The batches of three epochs, one by one."""
    return [signatures(make(shards, epoch=epoch)) for epoch in range(3)]


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_workers_deliver_what_the_loader_does(
    shards: premask.ShardSet, truth: list[list[bytes]], workers: int, persistent: bool
) -> None:
    batches = data_loader(make(shards), num_workers=workers, persistent_workers=persistent)
    assert len(batches) == 12
    for epoch in range(3):
        assert signatures(batches) == truth[epoch]


def test_a_run_with_workers_resumes_where_it_was(
    shards: premask.ShardSet, truth: list[list[bytes]]
) -> None:
    first = data_loader(make(shards), num_workers=2)
    batches = iter(first)
    seen = [signature(next(batches)) for _ in range(5)]
    second = data_loader(make(shards), num_workers=2)
    second.load_state_dict(first.state_dict())
    assert seen + signatures(second) == truth[0]


def test_set_epoch_reaches_persistent_workers(
    shards: premask.ShardSet, truth: list[list[bytes]]
) -> None:
    batches = data_loader(make(shards), num_workers=1, persistent_workers=True)
    for epoch in (2, 0, 1):
        batches.set_epoch(epoch)
        assert signatures(batches) == truth[epoch]


def test_workers_and_cuda_are_refused_together(shards: premask.ShardSet) -> None:
    with pytest.raises(premask.RequestError, match="2 workers cannot make batches on a CUDA"):
        data_loader(make(shards, device="cuda"), num_workers=2)


def test_a_sampler_of_bare_rows_is_refused(shards: premask.ShardSet) -> None:
    batches = data_loader(make(shards))
    other = torch.utils.data.DataLoader(batches.dataset, batch_size=4)
    with pytest.raises(premask.RequestError, match="must not be sharded"):
        next(iter(other))


# Hugging Face Trainer.


def tiny_model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=1000,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    return transformers.BertForMaskedLM(config)


def train_with_transformers(
    shards: premask.ShardSet, folder: Path, *, resume: bool
) -> list[bytes]:
    transformers = pytest.importorskip("transformers")
    seen: list[bytes] = []

    class Trainer(transformers.Trainer):  # type: ignore[misc, name-defined]
        def get_train_dataloader(self) -> TorchLoader:
            return data_loader(make(shards))

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(signature(inputs))
            return super().training_step(model, inputs, *args, **kwargs)

    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        num_train_epochs=2,
        per_device_train_batch_size=BATCH_SIZE,
        save_strategy="steps",
        save_steps=7,
        logging_strategy="no",
    )
    Trainer(model=tiny_model(), args=arguments).train(
        resume_from_checkpoint=str(folder / "checkpoint-7") if resume else None
    )
    return seen


@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")
def test_hugging_face_trainer_sees_every_batch_and_resumes(
    shards: premask.ShardSet, truth: list[list[bytes]], tmp_path: Path
) -> None:
    assert train_with_transformers(shards, tmp_path, resume=False) == truth[0] + truth[1]
    resumed = train_with_transformers(shards, tmp_path, resume=True)
    assert resumed == (truth[0] + truth[1])[7:]


# Accelerate.


def test_accelerate_leaves_the_batches_alone(
    shards: premask.ShardSet, truth: list[list[bytes]]
) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    batches = accelerator.prepare(data_loader(make(shards)))
    assert signatures(batches) == truth[0]
    skipped = accelerate.skip_first_batches(data_loader(make(shards)), 4)
    assert signatures(skipped) == truth[0][4:]


# Lightning.


def train_with_lightning(
    shards: premask.ShardSet, folder: Path, *, resume: Path | None = None
) -> list[bytes]:
    lightning = pytest.importorskip("lightning")
    seen: list[bytes] = []

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = tiny_model()

        def training_step(self, batch: Any, _: int) -> Any:
            seen.append(signature(batch))
            return self.model(**batch).loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    keep = lightning.pytorch.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=17)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        callbacks=[keep],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(Module(), data_loader(make(shards)), ckpt_path=resume)
    return seen


@pytest.mark.filterwarnings("ignore")  # Lightning recommends more workers
def test_lightning_sees_every_batch_and_resumes(
    shards: premask.ShardSet, truth: list[list[bytes]], tmp_path: Path
) -> None:
    wanted = truth[0] + truth[1]
    assert train_with_lightning(shards, tmp_path) == wanted
    resumed = train_with_lightning(shards, tmp_path, resume=tmp_path / "step=17.ckpt")
    assert resumed == wanted[17:]

"""Law 1 as a trainer meets it: a frozen set takes the place of the set and its policy.

Epoch ``e`` of a loader over the frozen set is epoch ``e`` of a loader over the dynamic one, in
the same order, so a training run cannot tell them apart.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
import torch
from premask import Loader, Mixture, RequestError
from premask.pipeline.freeze import freeze
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.torch_data import data_loader

EPOCHS = 2
POLICIES = ["random", "whole_word", "span", "clm", "replaced_token", "span_corruption", "ul2"]
ORDERS: list[dict[str, Any]] = [
    {},
    {"seed": 5, "batch_size": 3},
    {"shuffle": "block", "block_rows": 8, "window": 3},
    {"shuffle": False, "rank": 1, "world_size": 3},
    {"holdout": 0.3, "part": "heldout"},
    {"pad_to": "max", "max_tokens": 256},
    {"bucket_rows": 32},
    {"layout": "packed"},
]


@pytest.fixture(scope="session")
def dynamic(tmp_path_factory: pytest.TempPathFactory, small_set: Path) -> premask.ShardSet:
    """`small_set` with the tokenizer that freezing copies."""
    root = tmp_path_factory.mktemp("dynamic") / "set"
    shutil.copytree(small_set, root)
    (root / "tokenizer.json").write_text("{}")
    return premask.open_shards(root)


@pytest.fixture(scope="session")
def frozen(
    tmp_path_factory: pytest.TempPathFactory, dynamic: premask.ShardSet
) -> dict[str, premask.ShardSet]:
    """The set frozen for two epochs, by policy."""
    root = tmp_path_factory.mktemp("frozen")
    found = {}
    for name in POLICIES:
        freeze(
            dynamic.location,
            str(root / name),
            premask.policy(name),
            epochs=EPOCHS,
            engine=LocalEngine(),
            reporter=Reporters(reporters=()),
        )
        found[name] = premask.open_shards(root / name)
    return found


def batches(shards: premask.ShardSet | Mixture, **changes: Any) -> list[dict[str, Any]]:
    options: dict[str, Any] = {"batch_size": 8, "backend": "numpy", "drop_last": False}
    return list(Loader(shards, **{**options, **changes}))


def assert_equal(left: Iterable[dict[str, Any]], right: Iterable[dict[str, Any]]) -> None:
    for a, b in zip(left, right, strict=True):
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_law_1_static_equals_dynamic_in_every_order(
    dynamic: premask.ShardSet,
    frozen: dict[str, premask.ShardSet],
    order: dict[str, Any],
    epoch: int,
) -> None:
    assert_equal(
        batches(frozen["random"], epoch=epoch, **order),
        batches(dynamic, policy="random", epoch=epoch, **order),
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_law_1_static_equals_dynamic_for_every_kind_of_objective(
    dynamic: premask.ShardSet, frozen: dict[str, premask.ShardSet], policy: str
) -> None:
    """Whatever widths the batches have: what follows a row is filler in both."""
    static = batches(frozen[policy], epoch=1)
    masked = batches(dynamic, policy=policy, epoch=1)
    for a, b in zip(static, masked, strict=True):
        assert set(a) == set(b)
        for name in a:
            x, y = np.asarray(a[name]), np.asarray(b[name])
            width = min(x.shape[-1], y.shape[-1])
            np.testing.assert_array_equal(x[..., :width], y[..., :width], err_msg=name)
            rest = np.concatenate([x[..., width:].ravel(), y[..., width:].ravel()])
            assert not (rest != (-100 if name == "labels" else 0)).any()


def test_stored_epochs_come_round(frozen: dict[str, premask.ShardSet]) -> None:
    """Epoch 3 of two stored ones has the masks of epoch 1, in an order of its own."""
    third = {
        int(row): batch["labels"][i, :n].tolist()
        for batch in batches(frozen["random"], epoch=3, audit=True)
        for i, (row, n) in enumerate(
            zip(batch["row_ids"], batch["attention_mask"].sum(1), strict=True)
        )
    }
    assert sorted(third) == list(range(103, 206))
    for row, labels in third.items():
        assert frozen["random"][row]["labels"].tolist() == labels
    first, third_order = (
        np.concatenate([b["row_ids"] for b in batches(frozen["random"], epoch=e, audit=True)])
        for e in (1, 3)
    )
    assert not np.array_equal(first, third_order)


def test_audited_batches_name_the_epoch_that_was_frozen(
    frozen: dict[str, premask.ShardSet],
) -> None:
    for epoch, stored in enumerate((0, 1, 0, 1)):
        for batch in batches(frozen["random"], epoch=epoch, audit=True):
            assert set(batch["epochs"].tolist()) == {stored}


def test_all_stored_epochs_can_be_had_in_one(frozen: dict[str, premask.ShardSet]) -> None:
    rows = batches(frozen["random"], stored_epochs="all", audit=True)
    assert sorted(np.concatenate([b["row_ids"] for b in rows])) == list(range(206))


def test_a_run_over_a_static_set_resumes_in_its_second_epoch(
    dynamic: premask.ShardSet, frozen: dict[str, premask.ShardSet]
) -> None:
    run = Loader(frozen["random"], batch_size=8, backend="numpy", epoch=1)
    stream = iter(run)
    taken = [next(stream) for _ in range(5)]
    other = Loader(frozen["random"], batch_size=8, backend="numpy")
    other.load_state_dict(run.state_dict())
    assert_equal([*taken, *other], batches(dynamic, policy="random", epoch=1)[:12])


def test_a_mixture_of_static_sets_is_the_mixture_of_the_dynamic_ones(
    dynamic: premask.ShardSet, frozen: dict[str, premask.ShardSet]
) -> None:
    for epoch in range(EPOCHS):
        assert_equal(
            batches(Mixture(sets=(frozen["random"],), weights=(1.0,)), epoch=epoch),
            batches(Mixture(sets=(dynamic,), weights=(1.0,)), policy="random", epoch=epoch),
        )


@pytest.mark.parametrize(
    ("value", "message"),
    [("all", "needs a static set; this one is dynamic"), ("some", "use 'current' or 'all'")],
)
def test_stored_epochs_are_refused_where_there_are_none(
    dynamic: premask.ShardSet, value: Any, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        Loader(dynamic, policy="random", stored_epochs=value)


# Training runs. A loss is compared exactly: equal batches leave it no way to differ.


def tiny_model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    return transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=1000,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            attn_implementation="eager",
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def losses_of_a_loop(loader: Loader, _: Path) -> list[float]:
    model, losses = tiny_model(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _epoch in range(EPOCHS):
        for batch in loader:
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def losses_of_the_trainer(loader: Loader, folder: Path) -> list[float]:
    transformers = pytest.importorskip("transformers")
    losses: list[float] = []

    class Trainer(transformers.Trainer):  # type: ignore[misc, name-defined]
        def get_train_dataloader(self) -> Any:
            return data_loader(loader)

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            losses.append(loss.item())
            return loss

    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=loader.batch_size,
        save_strategy="no",
        logging_strategy="no",
        learning_rate=1e-2,
    )
    Trainer(model=tiny_model(), args=arguments).train()
    return losses


def losses_of_lightning(loader: Loader, folder: Path) -> list[float]:
    lightning = pytest.importorskip("lightning")
    losses: list[float] = []

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = tiny_model()

        def training_step(self, batch: Any, _: int) -> Any:
            loss = self.model(**batch).loss
            losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    lightning.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    ).fit(Module(), data_loader(loader))
    return losses


@pytest.mark.filterwarnings("ignore")  # the frameworks' advice on workers and memory
@pytest.mark.parametrize("run", [losses_of_a_loop, losses_of_the_trainer, losses_of_lightning])
def test_static_and_dynamic_training_have_equal_losses(
    dynamic: premask.ShardSet, frozen: dict[str, premask.ShardSet], run: Any, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    static = run(Loader(frozen["random"], batch_size=8), tmp_path / "static")
    masked = run(Loader(dynamic, policy="random", batch_size=8), tmp_path / "dynamic")
    assert len(static) == EPOCHS * 12
    assert static == masked
    assert np.mean(static[-6:]) < np.mean(static[:6])  # and it does learn

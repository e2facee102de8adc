"""What one process of a distributed run does; `tests.loader.test_processes` starts several.

    python -m tests.loader.ranks TASK SHARDS OUT OPTIONS

with the launcher's variables in the environment. Each rank pickles what it saw.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import premask
import torch
import torch.distributed as dist
from premask.torch_data import TorchLoader, data_loader

BATCH_SIZE = 4
EPOCHS = 2
# In the middle of the first epoch of two processes.
CHECKPOINT = 8


def make(shards: str, **options: Any) -> premask.Loader:
    return premask.Loader(shards, policy="random", **{"batch_size": BATCH_SIZE, **options})


def signature(batch: dict[str, Any]) -> bytes:
    return b"".join(np.asarray(batch[name]).tobytes() for name in ("input_ids", "labels"))


def seen_rows(batch: dict[str, Any]) -> list[tuple[int, list[int], list[int]]]:
    """Row number, masked ids and labels of each row of an audited batch."""
    columns = (batch["row_ids"], batch["input_ids"], batch["labels"])
    lengths = batch["attention_mask"].sum(1)
    return [
        (int(row), ids[:n].tolist(), labels[:n].tolist())
        for row, ids, labels, n in zip(*columns, lengths, strict=True)
    ]


def model() -> Any:
    transformers: Any = import_module("transformers")

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
        )
    )


def torch_loop(shards: str, _: Path, options: dict[str, Any]) -> Any:
    """A part of an epoch, from a state to a number of steps."""
    dist.init_process_group("gloo")
    loader = make(shards, drop_last=False, audit=True)
    if options["state"]:
        loader.load_state_dict(options["state"])
    batches = []
    for batch in loader:
        batches.append(seen_rows(batch))
        dist.barrier()  # a rank with fewer batches would leave the others waiting here
        if len(batches) == options["steps"]:
            break
    return batches, loader.state_dict()


def accelerate(shards: str, _: Path, __: dict[str, Any]) -> Any:
    """An epoch of a prepared loader whose rows do not divide evenly."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    batches = accelerator.prepare(data_loader(make(shards, drop_last=False, audit=True)))
    found = []
    for batch in batches:
        found.append(seen_rows(batch))
        accelerator.wait_for_everyone()
    return found


def hugging_face(shards: str, folder: Path, _: dict[str, Any]) -> Any:
    """A whole run of Trainer, and one that resumes in the middle of it."""
    transformers: Any = import_module("transformers")

    def train(resume: str | None) -> list[bytes]:
        seen: list[bytes] = []

        class Trainer(transformers.Trainer):  # type: ignore[misc]
            def get_train_dataloader(self) -> TorchLoader:
                return data_loader(make(shards))

            def training_step(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
                seen.append(signature(inputs))
                return super().training_step(model, inputs, *rest, **more)

        arguments = transformers.TrainingArguments(
            output_dir=str(folder),
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            ddp_backend="gloo",
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH_SIZE,
            save_strategy="steps",
            save_steps=CHECKPOINT,
            logging_strategy="no",
        )
        Trainer(model=model(), args=arguments).train(resume_from_checkpoint=resume)
        return seen

    return train(None), train(str(folder / f"checkpoint-{CHECKPOINT}"))


def lightning(shards: str, folder: Path, _: dict[str, Any]) -> Any:
    """A whole run under DDP, and one that resumes in the middle of it."""
    lightning: Any = import_module("lightning")

    def train(resume: Path | None) -> list[bytes]:
        seen: list[bytes] = []

        class Module(lightning.LightningModule):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.model = model()

            def training_step(self, batch: Any, _: int) -> Any:
                seen.append(signature(batch))
                return self.model(**batch).loss

            def train_dataloader(self) -> TorchLoader:
                return data_loader(make(shards))

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), 0.01)

        keep = lightning.pytorch.callbacks.ModelCheckpoint(
            folder, "{step}", every_n_train_steps=CHECKPOINT, save_top_k=-1
        )
        lightning.Trainer(
            accelerator="cpu",
            devices=int(os.environ["WORLD_SIZE"]),
            strategy="ddp",
            max_epochs=EPOCHS,
            callbacks=[keep],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        ).fit(Module(), ckpt_path=resume)
        return seen

    return train(None), train(folder / f"step={CHECKPOINT}.ckpt")


TASKS: Iterable[Callable[[str, Path, dict[str, Any]], Any]] = (
    torch_loop,
    accelerate,
    hugging_face,
    lightning,
)


def main(task: str, shards: str, out: str, options: str) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = {function.__name__: function for function in TASKS}[task]
    found = chosen(shards, Path(out) / "run", json.loads(options))
    (Path(out) / f"rank-{os.environ['RANK']}").write_bytes(pickle.dumps(found))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])

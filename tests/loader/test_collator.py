"""`MaskCollator` on rows that Premask did not prepare, and on its own shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
import torch
from premask import MaskCollator

from tests.loader.shardset import VOCABULARY
from tests.loader.tokenizer import wordpiece

# JAX, which other tests load, warns of every fork; these workers never touch it.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
TEXTS = [
    "the unbelievable cat sat on a mat.",
    "a dog ran, unbelievably!",
    "the mat sat on the cat; the dog ran on and on and on",
    "cat dog mat " * 20,
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return wordpiece()


@pytest.fixture(scope="module")
def features(tokenizer: Any) -> list[dict[str, Any]]:
    return [dict(tokenizer(text)) for text in TEXTS]


def test_a_batch_has_what_a_trainer_wants(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    batch = MaskCollator(tokenizer, pad_to_multiple_of=8)(features)
    width = -(-max(len(x["input_ids"]) for x in features) // 8) * 8
    for name in ("input_ids", "attention_mask", "labels"):
        assert batch[name].shape == (4, width)
        assert batch[name].dtype == torch.int64
    for i, feature in enumerate(features):
        assert int(batch["attention_mask"][i].sum()) == len(feature["input_ids"])


def test_labels_are_the_tokens_that_were_masked(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    batch = MaskCollator(tokenizer, return_tensors="np")(features)
    for i, feature in enumerate(features):
        ids, length = np.array(feature["input_ids"]), len(feature["input_ids"])
        chosen = batch["labels"][i] != -100
        assert chosen.any()
        assert not chosen[0]
        assert not chosen[length - 1 :].any()
        assert np.array_equal(batch["labels"][i][chosen], ids[chosen[:length]])
        kept = ~chosen[:length]
        assert np.array_equal(batch["input_ids"][i][:length][kept], ids[kept])


def test_a_rows_mask_does_not_depend_on_its_batch(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    collator = MaskCollator(tokenizer, return_tensors="np")
    together = collator(features)
    for i, feature in enumerate(features):
        alone = collator([feature])
        length = len(feature["input_ids"])
        for name in ("input_ids", "labels"):
            assert np.array_equal(alone[name][0], together[name][i][:length])


@pytest.mark.parametrize("form", ["list", "numpy", "torch", "bare"])
def test_the_form_of_a_row_does_not_matter(
    tokenizer: Any, features: list[dict[str, Any]], form: str
) -> None:
    collator = MaskCollator(tokenizer)
    given: list[Any] = {
        "list": features,
        "numpy": [{name: np.array(x) for name, x in row.items()} for row in features],
        "torch": [{name: torch.tensor(x) for name, x in row.items()} for row in features],
        "bare": [row["input_ids"] for row in features],
    }[form]
    assert torch.equal(collator(given)["input_ids"], collator(features)["input_ids"])


def test_rows_that_were_padded_before_are_masked_the_same(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    collator = MaskCollator(tokenizer)
    padded = tokenizer(TEXTS, padding="max_length", max_length=128)
    rows = [{name: padded[name][i] for name in padded} for i in range(len(TEXTS))]
    assert torch.equal(collator(rows)["labels"], collator(features)["labels"])


def test_epochs_and_seeds_change_masks_and_come_back(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    collator = MaskCollator(tokenizer)
    first = collator(features)["labels"]
    collator.set_epoch(1)
    assert not torch.equal(collator(features)["labels"], first)
    collator.set_epoch(0)
    assert torch.equal(collator(features)["labels"], first)
    assert not torch.equal(MaskCollator(tokenizer, seed=1)(features)["labels"], first)


def test_a_row_id_tells_equal_rows_apart(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    collator = MaskCollator(tokenizer, return_tensors="np")
    row = features[3]
    same = collator([row, row])["labels"]
    assert np.array_equal(same[0], same[1])
    apart = collator([{**row, "row_id": 0}, {**row, "row_id": 2**40}])["labels"]
    assert not np.array_equal(apart[0], apart[1])


def test_whole_words_are_masked_whole(tokenizer: Any) -> None:
    feature = dict(tokenizer("unbelievably the cat, the dog! unbelievable mat"))
    words = np.array(
        [
            -1 if w is None else w
            for w in tokenizer("unbelievably the cat, the dog! unbelievable mat").word_ids()
        ]
    )
    collator = MaskCollator(
        tokenizer, policy={"preset": "whole_word", "rate": 0.4}, return_tensors="np"
    )
    seen = set()
    for epoch in range(40):
        collator.set_epoch(epoch)
        chosen = collator([feature])["labels"][0] != -100
        for word in set(words) - {-1}:
            assert len(set(chosen[words == word])) == 1, "a word was masked in part"
        seen |= set(words[chosen])
    assert seen == set(words) - {-1}


def test_span_corruption_takes_the_place_of_the_t5_collator() -> None:
    row = [2, *range(10, 60), 3]
    batch = MaskCollator(VOCABULARY, policy="span_corruption", max_length=64)([row, row[:30]])
    assert batch["labels"].shape[0] == 2
    assert int((batch["input_ids"] == 999).sum()) == 2  # the first sentinel, once per row


def test_words_need_a_tokenizer_or_boundaries() -> None:
    collator = MaskCollator(VOCABULARY, policy="whole_word")
    with pytest.raises(premask.PolicyError, match="needs word_start"):
        collator([[2, 10, 11, 3]])


def test_rows_of_a_shard_set_get_the_masks_of_the_loader(
    small_set: Path, shards: premask.ShardSet
) -> None:
    datasets = pytest.importorskip("datasets")
    dataset = datasets.concatenate_datasets(
        [datasets.Dataset.from_file(str(path)) for path in sorted(small_set.glob("shards/*"))]
    )
    collator = MaskCollator(VOCABULARY, policy="whole_word", epoch=3, max_length=64)
    loader = premask.Loader(
        shards, policy="whole_word", epoch=3, shuffle=False, batch_size=10, drop_last=False
    )
    for k, batch in enumerate(loader):
        rows = [dataset[i] for i in range(10 * k, min(10 * k + 10, len(dataset)))]
        found = collator(rows)
        assert all(torch.equal(found[name], batch[name]) for name in batch)


def test_the_epoch_reaches_persistent_workers(
    tokenizer: Any, features: list[dict[str, Any]]
) -> None:
    collator = MaskCollator(tokenizer)
    batches: Any = torch.utils.data.DataLoader(
        features,  # type: ignore[arg-type]
        batch_size=2,
        collate_fn=collator,
        num_workers=2,
        persistent_workers=True,
    )
    epochs = []
    for epoch in (0, 1, 0):
        collator.set_epoch(epoch)
        epochs.append(torch.cat([batch["labels"].flatten() for batch in batches]))
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0], epochs[1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        ([{"text": "a"}], "row 0 of the batch has no input_ids, only text"),
        ([[2, 9, 3], [2, 70_000, 3]], "row 1 of the batch has token ids from 2 to 70000"),
        ([[2, -9, 3]], "token ids from -9 to 3"),
        ([[[2, 9, 3]]], "a row is one sequence"),
        ([[2, 0.5, 3]], "a row is one sequence"),
    ],
)
def test_rows_without_ids_of_tokens_are_refused(
    tokenizer: Any, rows: list[Any], message: str
) -> None:
    with pytest.raises(premask.RequestError, match=message):
        MaskCollator(tokenizer)(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "bert-base"}, "must be a Hugging Face tokenizer or a Vocabulary"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"epoch": 0.5}, "epoch must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused(
    tokenizer: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(premask.RequestError, match=message):
        MaskCollator(**{"tokenizer": tokenizer, **options})


def test_segments_and_labels_of_pairs_go_along(tokenizer: Any) -> None:
    """As with the collator whose place it takes; without its types a pair is one segment."""
    row = {"input_ids": [2, 9, 3, 8, 3], "token_type_ids": [0, 0, 0, 1, 1]}
    rows = [{**row, "next_sentence_label": 1}, {**row, "next_sentence_label": 0}]
    batch = MaskCollator(tokenizer)(rows)
    assert batch["token_type_ids"].tolist() == [row["token_type_ids"]] * 2
    assert batch["next_sentence_label"].tolist() == [1, 0]

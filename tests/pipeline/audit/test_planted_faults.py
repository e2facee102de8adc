"""Every fault that masks of other programs have had is planted here, and found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from premask._format import SEED
from premask.masking.policy import policy
from premask.pipeline.audit.collect import collect
from premask.pipeline.audit.expectation import expectation_of
from premask.pipeline.audit.promises import check_promises
from premask.pipeline.local import LocalEngine
from premask.rows import Rows

from tests.pipeline.audit.material import (
    MAX_LENGTH,
    VOCABULARY,
    InMemory,
    audit_rows,
)


@pytest.mark.parametrize("name", ["random", "whole_word", "span"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_budget_off_by_a_tenth_is_found(rows: Rows, name: str, factor: float) -> None:
    audited = audit_rows(rows, policy(name), done=policy(name, rate=0.15 * factor))
    assert audited.broken == {"budget"}


@pytest.mark.parametrize("name", ["bernoulli", "roberta", "ernie"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_rate_off_by_a_tenth_is_found(rows: Rows, name: str, factor: float) -> None:
    audited = audit_rows(rows, policy(name), done=policy(name, rate=0.15 * factor))
    assert "rate" in audited.broken


@pytest.mark.parametrize(("name", "unit"), [("whole_word", "word"), ("entity", "entity")])
def test_split_units_are_found(rows: Rows, name: str, unit: str) -> None:
    audited = audit_rows(rows, policy(name), done=policy("random"))
    assert f"whole_{unit}" in audited.broken


def test_a_single_split_word_is_found(rows: Rows) -> None:
    def unmask_one(outputs: dict[str, np.ndarray], epoch: int) -> dict[str, np.ndarray]:
        labels, ids = outputs["labels"].copy(), outputs["input_ids"].copy()
        bits = rows.pad().boundaries
        inside = (labels[:, :-1] != -100) & (labels[:, 1:] != -100) & ((bits[:, 1:] & 3) == 0)
        row, place = np.argwhere(inside)[0]
        if epoch == 0:
            ids[row, place + 1], labels[row, place + 1] = labels[row, place + 1], -100
        return {**outputs, "labels": labels, "input_ids": ids}

    audited = audit_rows(rows, policy("whole_word"), fault=unmask_one)
    assert audited.broken == {"whole_word"}


def test_special_ids_among_replacements_are_found(rows: Rows) -> None:
    audited = audit_rows(rows, policy("random"), done=policy("random", random_special=True))
    assert "ordinary_replacements" in audited.broken


def test_a_split_off_by_a_fiftieth_is_found(rows: Rows) -> None:
    audited = audit_rows(rows, policy("random"), done=policy("random", mask=0.82, random=0.08))
    assert audited.broken == {"split"}


def test_colliding_seeds_are_found(rows: Rows) -> None:
    """fairseq reduces its seeds modulo a million in floating point; a few hundred here."""
    few = np.random.default_rng(5).integers(0, 300, len(rows)).astype(np.uint64)
    colliding = replace(rows, numbers={**rows.numbers, SEED: few})
    audited = audit_rows(colliding, policy("random"))
    assert audited.broken >= {"distinct_masks", "distinct_seeds"}


def test_span_corruption_of_nothing_but_the_end_is_found(rows: Rows) -> None:
    promised = policy("span_corruption", mean_span=64.0)
    always_last = policy("span_corruption", mean_span=64.0, random_roll="never")
    audited = audit_rows(rows, promised, done=always_last)
    assert audited.broken == {"position"}


def test_an_epoch_replayed_twice_is_found(rows: Rows) -> None:
    audited = audit_rows(rows, policy("random"), epochs=(0, 1, 1))
    assert audited.broken == {"fresh_epochs", "distinct_masks", "overlap"}


def test_an_epoch_replayed_later_is_found(rows: Rows) -> None:
    audited = audit_rows(rows, policy("whole_word"), epochs=(0, 1, 2, 0))
    assert audited.broken >= {"fresh_epochs", "distinct_masks"}


def test_a_shard_of_another_policy_is_found_and_named(rows: Rows) -> None:
    promised = policy("whole_word")
    source = InMemory(rows, promised, (0, 1), num_files=5, policies={3: policy("random")})
    expectation = expectation_of(promised, max_length=MAX_LENGTH)
    found = collect(source, expectation, LocalEngine(), lambda *_: None)
    findings = check_promises(found.statistics, expectation, VOCABULARY)
    assert {finding.name for finding in findings if not finding.passed} == {"whole_word"}
    assert found.blame == {"whole_word": ["00003.arrow"]}


def test_tokens_changed_outside_the_mask_are_found(rows: Rows) -> None:
    def change_one(outputs: dict[str, np.ndarray], epoch: int) -> dict[str, np.ndarray]:
        ids = outputs["input_ids"].copy()
        row, place = np.argwhere(outputs["labels"][:, 1:2] == -100)[0]
        ids[row, place + 1] += int(epoch == 2)
        return {**outputs, "input_ids": ids}

    assert audit_rows(rows, policy("random"), fault=change_one).broken == {"untouched"}


def test_labels_of_other_tokens_are_found(rows: Rows) -> None:
    def shift_one(outputs: dict[str, np.ndarray], _: int) -> dict[str, np.ndarray]:
        labels = outputs["labels"].copy()
        row, place = np.argwhere(labels != -100)[0]
        labels[row, place] += 1
        return {**outputs, "labels": labels}

    assert audit_rows(rows, policy("random"), fault=shift_one).broken == {"labels"}


def test_masked_special_tokens_are_found(rows: Rows) -> None:
    def mask_first(outputs: dict[str, np.ndarray], _: int) -> dict[str, np.ndarray]:
        labels, ids = outputs["labels"].copy(), outputs["input_ids"].copy()
        labels[7, 0], ids[7, 0] = 2, 4
        return {**outputs, "labels": labels, "input_ids": ids}

    audited = audit_rows(rows, policy("random"), fault=mask_first)
    assert "specials_spared" in audited.broken


def test_a_preference_for_rare_tokens_is_found(rows: Rows) -> None:
    audited = audit_rows(rows, policy("random"), done=policy("frequency"))
    assert audited.broken == {"frequency", "overlap"}


def test_random_tokens_from_half_the_vocabulary_are_found(rows: Rows) -> None:
    def halve(outputs: dict[str, np.ndarray], _: int) -> dict[str, np.ndarray]:
        ids, labels = outputs["input_ids"].copy(), outputs["labels"]
        fresh = (labels != -100) & (ids != labels) & (ids != VOCABULARY.mask_id)
        ids[fresh] = 5 + (ids[fresh] - 5) // 2
        return {**outputs, "input_ids": ids}

    assert audit_rows(rows, policy("random"), fault=halve).broken == {"uniform_replacements"}


def test_spans_of_another_mean_length_are_found(rows: Rows) -> None:
    audited = audit_rows(
        rows, policy("span_corruption"), done=policy("span_corruption", mean_span=4.0)
    )
    assert {"span_count", "span_lengths"} <= audited.broken


@pytest.mark.parametrize(("name", "change"), [("span", {"p": 0.3}), ("ngram", {"longest": 4})])
def test_spans_of_words_of_another_law_are_found(
    rows: Rows, name: str, change: dict[str, float]
) -> None:
    audited = audit_rows(rows, policy(name), done=policy(name, **change))
    assert audited.broken == {"span_lengths"}

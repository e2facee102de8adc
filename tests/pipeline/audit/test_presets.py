"""Every preset keeps its own promises."""

from __future__ import annotations

import pytest
from premask.masking.policy import policy
from premask.masking.presets import PRESETS
from premask.pipeline.audit.expectation import Expectation, expectation_of
from premask.rows import Rows

from tests.pipeline.audit.material import MAX_LENGTH, audit_rows


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_keeps_its_promises(rows: Rows, name: str) -> None:
    audited = audit_rows(rows.take(range(600)), policy(name))
    assert audited.broken == set()
    assert audited.findings


def test_a_policy_of_single_tokens_promises_all_that_can_be_tested() -> None:
    expected = expectation_of(policy("random"), max_length=MAX_LENGTH)
    assert expected.budget is not None
    assert expected.profile is not None
    assert expected.blind
    assert expected.independent
    assert expected.distinct


def test_a_mixture_promises_what_its_parts_promise_alike() -> None:
    mixture = policy(
        {
            "operation": "mixture",
            "policies": [{"preset": "whole_word"}, {"preset": "entity"}],
            "shares": [0.5, 0.5],
        }
    )
    expected = expectation_of(mixture, max_length=MAX_LENGTH)
    assert expected.split is not None
    assert expected.split[:2] == (0.8, 0.1)
    assert expected.whole == Expectation().whole
    assert expected.budget is None

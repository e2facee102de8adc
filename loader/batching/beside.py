"""Columns of rows that go into a batch beside what a policy makes of the tokens.

Rows of two segments (BERT, ALBERT) carry ``token_type_ids``, one per token, and the label of
the pair, one per row. The label goes along with every policy; types only where each token stays
where it was.
"""

from __future__ import annotations

from collections.abc import Container

from premask._format import ROW_LABELS, TOKEN_TYPE_IDS
from premask.masking.policy import Policy

_IN_PLACE = ("clm", "mask_ngrams", "mask_spans", "mask_units", "replaced_token")


def beside(policy: Policy | None, columns: Container[str]) -> tuple[str, ...]:
    """The columns of a set with `columns` that go along; None delivers rows as they are."""
    in_place = policy is None or _stays_in_place(policy)
    wanted = (TOKEN_TYPE_IDS, *ROW_LABELS) if in_place else ROW_LABELS
    return tuple(name for name in wanted if name in columns)


def _stays_in_place(policy: Policy) -> bool:
    if policy.members:
        return all(map(_stays_in_place, policy.members))
    return policy.operation in _IN_PLACE

"""One row, as a reader wants to see it: inputs beside targets, every token with its role.

Works on plain values; `premask.pipeline.commands.show` draws the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

import numpy as np
from premask._errors import RequestError
from premask._format import (
    BOUNDARIES,
    EPOCH,
    IGNORE_LABEL,
    INPUT_IDS,
    LABELS,
    SEED,
    TOKENIZER_FILE,
    Boundary,
)
from premask.masking.apply import apply_policy
from premask.masking.operations import OPERATIONS
from premask.masking.policy import Policy
from premask.masking.policy import policy as premask_policy
from premask.pipeline.output import Output
from premask.shards import ShardSet
from premask.stages.freeze import WITH_TARGETS
from tokenizers import Tokenizer

Role = Literal["text", "special", "sentinel", "entity", "mask", "random", "kept", "target"]


class Token(NamedTuple):
    """An id and what it is here."""

    token_id: int
    role: Role


class Segment(NamedTuple):
    """A stretch of text of one role."""

    text: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A row, ready to be drawn.

    Attributes:
        facts: names and values for the head.
        inputs, targets: text by role; `targets` is empty where there is nothing to predict.
    """

    facts: Mapping[str, str]
    inputs: tuple[Segment, ...]
    targets: tuple[Segment, ...]


def make_view(shards: ShardSet, row: int, *, epoch: int, policy: Policy | None) -> View:
    """The view of row `row`, masked by `policy` for `epoch`, or as it is stored.

    Raises:
        RequestError: there is no such row, or a static set is to be masked again.
    """
    static = shards.manifest.mode == "static"
    _check(shards, row, policy)
    stored = shards[row]
    facts = {
        "row": f"{row} of {len(shards)}",
        "document": str(stored.get("document_id", "")),
        "tokens": str(len(stored[INPUT_IDS])),
        "seed": str(stored.get(SEED, "")),
    }
    vocabulary = shards.vocabulary
    if static and shards.manifest.policy is not None:
        policy = premask_policy(_plain_policy(shards.manifest.policy))
        outputs, epoch = stored, int(stored[EPOCH])
    elif policy is not None:
        outputs = _unpad(apply_policy(policy, shards.rows([row]), epoch))
    else:
        words = _describe_row(stored, vocabulary.special_ids)
        return View(facts=facts, inputs=_segments(shards, words), targets=())
    facts |= {"policy": policy.name, "epoch": str(epoch)}
    original = None if static else stored[INPUT_IDS].tolist()
    inputs, targets = _roles(shards, policy, outputs, original)
    num_targets = sum(token.role in ("target", "kept") for token in targets)
    facts["predicted"] = f"{num_targets} tokens"
    return View(
        facts=facts, inputs=_segments(shards, inputs), targets=_segments(shards, targets)
    )


def _check(shards: ShardSet, row: int, policy: Policy | None) -> None:
    if not 0 <= row < len(shards):
        raise RequestError(
            f"row {row} of a set of {len(shards)} rows; the first is 0, the last "
            f"{len(shards) - 1}",
            location="--row",
        )
    if shards.manifest.mode == "static" and policy is not None:
        raise RequestError(
            "the set is static, its rows are masked already; leave the policy out, or show "
            "the set that it was frozen from",
            location="--policy",
        )


def _plain_policy(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = OPERATIONS[entry["operation"]].parameters
    return {k: v for k, v in entry.items() if k in ("name", "operation") or k in known}


def _unpad(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    length = int(outputs["attention_mask"][0].sum())
    labels = outputs[LABELS][0]
    end = int((np.arange(1, len(labels) + 1) * (labels != IGNORE_LABEL)).max(initial=0))
    return {INPUT_IDS: outputs[INPUT_IDS][0][:length], LABELS: labels[: max(end, length)]}


def _roles(
    shards: ShardSet, policy: Policy, outputs: Mapping[str, Any], original: list[int] | None
) -> tuple[list[Token], list[Token]]:
    """Inputs and targets of a masked row."""
    specials = frozenset(shards.vocabulary.special_ids)
    sentinels = frozenset(shards.vocabulary.sentinel_ids)
    ids, labels = outputs[INPUT_IDS].tolist(), outputs[LABELS].tolist()
    if policy.operation in WITH_TARGETS or len(labels) != len(ids):
        wanted = [label for label in labels if label != IGNORE_LABEL]
        return (
            [Token(i, _role(i, specials, sentinels)) for i in ids],
            [Token(i, _role(i, specials, sentinels, "target")) for i in wanted],
        )
    inputs, targets = [], []
    for place, (token, label) in enumerate(zip(ids, labels, strict=True)):
        plain = _role(token, specials, sentinels)
        if label == IGNORE_LABEL:
            inputs.append(Token(token, plain))
            targets.append(Token(token if original is None else original[place], plain))
            continue
        role: Role = "kept" if token == label else "random"
        inputs.append(Token(token, "mask" if token == shards.vocabulary.mask_id else role))
        targets.append(Token(label, "target"))
    return inputs, targets


def _role(
    token: int, specials: frozenset[int], sentinels: frozenset[int], text: Role = "text"
) -> Role:
    if token in sentinels:
        return "sentinel"
    return "special" if token in specials else text


def _describe_row(row: Mapping[str, Any], special_ids: Iterable[int]) -> list[Token]:
    """An unmasked row: its special tokens and entities."""
    specials = frozenset(special_ids)
    bits = row[BOUNDARIES] & Boundary.IN_ENTITY
    return [
        Token(i, "special" if i in specials else "entity" if entity else "text")
        for i, entity in zip(row[INPUT_IDS].tolist(), bits.tolist(), strict=True)
    ]


def _segments(shards: ShardSet, tokens: Sequence[Token]) -> tuple[Segment, ...]:
    """Neighbours of one role decoded together, so that bytes of one character stay whole."""
    tokenizer = load_set_tokenizer(shards.location)
    segments: list[Segment] = []
    for role, group in groupby(tokens, key=lambda token: token.role):
        ids = [token.token_id for token in group]
        text = tokenizer.decode(ids, skip_special_tokens=False)
        gap = " " if segments and _begins_word(tokenizer, ids[0]) else ""
        segments.append(Segment(gap + text.removeprefix(" ") if gap else text, role))
    return tuple(segments)


def _begins_word(tokenizer: Tokenizer, token_id: int) -> bool:
    """Whether white space stands before a token, by its own spelling."""
    token = tokenizer.id_to_token(token_id) or ""
    alone = tokenizer.decode([token_id], skip_special_tokens=False)
    marked = token.startswith(("Ġ", "▁"))
    spaced = tokenizer.decode([token_id, token_id], skip_special_tokens=False) != alone * 2
    return marked or (spaced and not token.startswith("##"))


def load_set_tokenizer(location: str) -> Tokenizer:
    """The tokenizer that a shard set carries."""
    return Tokenizer.from_str(Output.at(location).read(TOKENIZER_FILE).decode())

"""One row, as a reader wants to see it: inputs beside targets, every token with its role.

Works on plain values; `premask.pipeline.commands.show` draws the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from premask._errors import RequestError
from premask._format import BOUNDARIES, EPOCH, INPUT_IDS, SEED, TOKENIZER_FILE, Boundary
from premask.masking.apply import apply_policy
from premask.masking.policy import Policy
from premask.masking.policy import policy as premask_policy
from premask.pipeline.audit.words import set_tokenizer
from premask.pipeline.output import Output
from premask.pipeline.roles import Reading, Role, Token, read_outputs
from premask.shards import ShardSet
from tokenizers import Tokenizer


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
        notes: further sequences by title, such as the order of prediction.
    """

    facts: Mapping[str, str]
    inputs: tuple[Segment, ...]
    targets: tuple[Segment, ...]
    notes: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)


def make_view(
    shards: ShardSet, row: int, *, epoch: int, policy: Policy | None, step: int | None = None
) -> View:
    """The view of row `row`, masked by `policy` for `epoch` (and `step`), or as it is stored.

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
    if static and shards.manifest.policy is not None:
        policy = premask_policy(shards.manifest.policy["definition"])
        outputs, epoch = stored, int(stored[EPOCH])
    elif policy is not None:
        masked = apply_policy(policy, shards.rows([row]), epoch, step=step)
        outputs = {name: array[0] for name, array in masked.items()}
    else:
        words = _describe_row(stored, shards.vocabulary.special_ids)
        return View(facts=facts, inputs=_segments(shards, words), targets=())
    original = None if static else stored[INPUT_IDS].tolist()
    reading = read_outputs(policy, outputs, shards.vocabulary, original)
    facts |= {"policy": policy.name, "epoch": str(epoch), **reading.facts}
    facts["predicted"] = f"{reading.num_predicted} tokens"
    return View(
        facts=facts,
        inputs=_segments(shards, reading.inputs),
        targets=_segments(shards, reading.targets),
        notes=_notes(shards, reading),
    )


def _notes(shards: ShardSet, reading: Reading) -> dict[str, tuple[Segment, ...]]:
    notes = {title: _segments(shards, each) for title, each in reading.notes.items()}
    if reading.order:
        tokenizer = load_set_tokenizer(shards.location)
        words = [tokenizer.id_to_token(t.token_id) or "" for t in reading.order]
        notes["order of prediction"] = tuple(
            Segment(f" {word.lstrip('Ġ▁')}" if k else word.lstrip("Ġ▁"), token.role)
            for k, (word, token) in enumerate(zip(words, reading.order, strict=True))
        )
    return notes


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
    return set_tokenizer(Output.at(location).read(TOKENIZER_FILE))

"""The worked examples of ``policies.md``: a policy run on a tiny row, as lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from policy_rows import TOKENS, VOCABULARY, Example, binding, pair, sentence, story
from premask import Policy
from premask.masking.masker import Masker
from premask.pipeline.roles import Reading, Token, read_outputs

_WIDTH = 92
_EPOCHS = 200
# Losses that an adaptive policy is told before its example.
_HARD = ("program", "machine")
_COMBINED = {"mixture": (0, 1, 2), "schedule": (0, 1, 2), "rate_schedule": (0, 10, 19)}
# What is worth showing takes several tokens, or changes the row at all.
_UNITS = {"entity", "phrase", "collocation"}


def example(policy: Policy) -> str:
    """A fenced block: the row, what the model gets, and what it is to predict."""
    row = _row_for(policy)
    masker = policy.bind(binding())
    if policy.takes_feedback:
        _teach(masker)
    if policy.operation in _COMBINED:
        lines = list(_several(policy, masker, row, _COMBINED[policy.operation]))
    else:
        epoch, reading = _first_telling(policy, masker, row)
        lines = [f"epoch {epoch}", *_one(row, reading)]
    return "\n".join(["```text", *(line.rstrip() for line in lines), "```"])


def _row_for(policy: Policy) -> Example:
    if "segment" in policy.needs:
        return pair()
    in_sentences = "sentence_start" in policy.needs and "entity_start" not in policy.needs
    return story() if in_sentences else sentence()


def _teach(masker: Masker) -> None:
    ids = np.arange(len(TOKENS))
    hard = np.isin(ids, [TOKENS.index(token) for token in _HARD])
    masker.update(ids, np.where(hard, 6.0, 1.0))
    masker.snapshot(0)


def _read(policy: Policy, masker: Masker, row: Example, epoch: int) -> Reading:
    outputs = {name: array[0] for name, array in masker(row.rows, epoch).items()}
    return read_outputs(policy, outputs, VOCABULARY, row.ids)


def _first_telling(policy: Policy, masker: Masker, row: Example) -> tuple[int, Reading]:
    """The first epoch in which there is something to see."""
    first = 0, _read(policy, masker, row, 0)
    if policy.operation in ("clm", "seq2seq"):
        return first
    readings = ((epoch, _read(policy, masker, row, epoch)) for epoch in range(_EPOCHS))
    return next((item for item in readings if _tells(policy, item[1])), first)


def _tells(policy: Policy, reading: Reading) -> bool:
    roles = [token.role for token in reading.inputs]
    if policy.takes_feedback:
        wanted = {TOKENS[t.token_id] for t in reading.targets if t.role == "target"}
        return wanted.issuperset(_HARD) and "mask" in roles
    if policy.operation == "fill_in_middle":
        return "sentinel" in roles and _lengths_of_gaps(reading.inputs) > 1
    if policy.operation == "replaced_token":
        return "kept" in roles and "mask" in roles
    if policy.operation in ("mask_spans", "mask_ngrams"):
        return _longest_run(reading) > 1
    if policy.parameters.get("units") in _UNITS:
        return _longest_run(reading) > 1 and "mask" in roles
    return "mask" in roles or "sentinel" in roles or not reading.aligned


def _lengths_of_gaps(tokens: Sequence[Token]) -> int:
    """The shortest stretch between sentinels."""
    places = [k for k, token in enumerate(tokens) if token.role == "sentinel"]
    return int(min(np.diff([*places, len(tokens)]), default=0)) - 1


def _longest_run(reading: Reading) -> int:
    """The longest run of tokens to be predicted."""
    longest = run = 0
    for token in reading.targets:
        run = run + 1 if token.role == "target" else 0
        longest = max(longest, run)
    return longest


def _several(
    policy: Policy, masker: Masker, row: Example, epochs: Iterable[int]
) -> Iterator[str]:
    yield from _sequences({"row": list(row.tokens)})
    for epoch in epochs:
        yield ""
        yield f"epoch {epoch}"
        yield from _aligned(_read(policy, masker, row, epoch))


def _one(row: Example, reading: Reading) -> Iterator[str]:
    if reading.aligned and len(reading.inputs) == len(row.tokens):
        yield from _aligned(reading, row.tokens)
    else:
        yield from _sequences({"row": list(row.tokens)})
        yield from _sequences({"inputs": _spell(reading.inputs)})
        yield from _sequences({"targets": _spell(reading.targets)})
    for title, tokens in reading.notes.items():
        yield from _sequences({title: _spell(tokens)})
    if reading.order:
        yield from _sequences({"in the order": _spell(reading.order)})
    for name, value in reading.facts.items():
        yield f"{name}: {value}"


def _aligned(reading: Reading, row: Sequence[str] | None = None) -> Iterator[str]:
    targets = [
        TOKENS[token.token_id] if token.role == "target" else "·" for token in reading.targets
    ]
    lines = [("inputs", _spell(reading.inputs)), ("targets", targets)]
    yield from _columns([("row", row), *lines] if row else lines)


def _spell(tokens: Iterable[Token]) -> list[str]:
    return [TOKENS[token.token_id] for token in tokens]


def _columns(lines: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Lines with one column per token, broken where they would be too wide."""
    widths = [max(map(len, column)) for column in zip(*(x for _, x in lines), strict=True)]
    head = max(len(title) for title, _ in lines) + 2
    first = 0
    while first < len(widths):
        last, used = first, head
        while last < len(widths) and used + widths[last] <= _WIDTH:
            used += widths[last] + 1
            last += 1
        if first:
            yield ""
        for title, tokens in lines:
            cells = (f"{tokens[k]:<{widths[k]}}" for k in range(first, last))
            yield f"{title if not first else '':<{head}}" + " ".join(cells)
        first = last


def _sequences(lines: dict[str, list[str]]) -> Iterator[str]:
    for title, tokens in lines.items():
        line = f"{title:<9}" if len(title) < 9 else f"{title}: "
        for token in tokens:
            if len(line) + 1 + len(token) > _WIDTH:
                yield line
                line = " " * 9
            line += f" {token}" if line[-1] != " " else token
        yield line

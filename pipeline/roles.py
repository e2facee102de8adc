"""What each token of a masked row is: text, masked, random, left as it is, to be predicted.

Reads one row of a policy's outputs, whatever the objective; knows no tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from premask._format import IGNORE_LABEL, INPUT_IDS, LABELS
from premask.masking._rows import Vocabulary
from premask.masking.policy import Policy
from premask.stages.freeze import has_own_targets

Role = Literal["text", "special", "sentinel", "entity", "mask", "random", "kept", "target"]
# Every token is predicted from those before it, so none stands out among the inputs.
_CAUSAL = ("clm", "fill_in_middle", "prefix_lm")
_MODES = ("R, regular", "S, sequential", "X, extreme")


class Token(NamedTuple):
    """An id and what it is here."""

    token_id: int
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A masked row, token by token.

    Attributes:
        inputs: what the model gets.
        targets: what it is to predict: one per input where `aligned`, else a sequence.
        aligned: whether labels lie on the tokens of the input.
        order: the targets in the order in which they are predicted, where that is random.
        notes: further sequences by title: a decoder's input, what further streams predict.
        facts: further values by name.
    """

    inputs: list[Token]
    targets: list[Token]
    aligned: bool
    order: list[Token] = field(default_factory=list)
    notes: dict[str, list[Token]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def num_predicted(self) -> int:
        """Tokens with a label."""
        if self.aligned:
            return sum(token.role == "target" for token in self.targets)
        return len(self.targets)


def read_outputs(
    policy: Policy,
    outputs: Mapping[str, Any],
    vocabulary: Vocabulary,
    original: Sequence[int] | None = None,
) -> Reading:
    """Reads one row.

    Args:
        policy: what made it.
        outputs: its arrays, without the dimension of the batch; static rows lack
            ``attention_mask`` and padding.
        vocabulary: what ids mean.
        original: the row's own tokens; None where nobody knows them.
    """
    read = _Reader(vocabulary)
    ids, labels = _unpadded(outputs)
    more: dict[str, Any] = {
        "order": _order(outputs, labels, read),
        "notes": _notes(outputs, read),
        "facts": {"denoiser": _MODES[int(outputs["modes"])]} if "modes" in outputs else {},
    }
    if has_own_targets(policy) or len(labels) > len(ids):
        wanted = [label for label in labels if label != IGNORE_LABEL]
        inputs, targets = read.plain(ids), read.plain(wanted, "target")
        return Reading(inputs=inputs, targets=targets, aligned=False, **more)
    labels += [IGNORE_LABEL] * (len(ids) - len(labels))
    whole = original if original is not None and len(original) == len(ids) else ids
    inputs, targets = [], []
    for place, (token, label) in enumerate(zip(ids, labels, strict=True)):
        if label == IGNORE_LABEL:
            inputs.append(read.token(token))
            targets.append(read.token(whole[place]))
        else:
            causal = policy.operation in _CAUSAL
            inputs.append(read.token(token) if causal else read.changed(token, label))
            targets.append(Token(label, "target"))
    return Reading(inputs=inputs, targets=targets, aligned=True, **more)


class _Reader:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._specials = frozenset(vocabulary.special_ids)
        self._sentinels = frozenset(vocabulary.sentinel_ids)

    def token(self, token_id: int, text: Role = "text") -> Token:
        """A token that is no target of its own place."""
        if token_id in self._sentinels:
            return Token(token_id, "sentinel")
        if token_id == self._vocabulary.mask_id:
            return Token(token_id, "mask")
        return Token(token_id, "special" if token_id in self._specials else text)

    def plain(self, ids: Sequence[int], text: Role = "text") -> list[Token]:
        return [self.token(token_id, text) for token_id in ids]

    def changed(self, token_id: int, label: int) -> Token:
        """An input token whose own place is to be predicted."""
        if token_id == self._vocabulary.mask_id:
            return Token(token_id, "mask")
        return Token(token_id, "kept" if token_id == label else "random")


def _unpadded(outputs: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    ids, labels = np.asarray(outputs[INPUT_IDS]), np.asarray(outputs[LABELS])
    length = int(outputs["attention_mask"].sum()) if "attention_mask" in outputs else len(ids)
    end = int((np.arange(1, len(labels) + 1) * (labels != IGNORE_LABEL)).max(initial=0))
    return ids[:length].tolist(), labels[:end].tolist()


def _order(outputs: Mapping[str, Any], labels: list[int], read: _Reader) -> list[Token]:
    if "perm_mask" not in outputs:
        return []
    places = [place for place, label in enumerate(labels) if label != IGNORE_LABEL]
    # A target sees those before it: the most are hidden from the first.
    hidden = np.asarray(outputs["perm_mask"])[places][:, places].sum(axis=1)
    order = [places[k] for k in np.argsort(-hidden, kind="stable")]
    return read.plain([labels[place] for place in order], "target")


def _notes(outputs: Mapping[str, Any], read: _Reader) -> dict[str, list[Token]]:
    notes = {}
    if "decoder_input_ids" in outputs:
        ids = np.asarray(outputs["decoder_input_ids"])
        given = int(np.sum(outputs["decoder_attention_mask"]))
        notes["decoder input"] = read.plain(ids[:given].tolist())
    streams = np.asarray(outputs.get("ngram_labels", np.zeros((0, 0), np.int32)))
    for number, stream in enumerate(streams[1:], 1):
        wanted = [label for label in stream.tolist() if label != IGNORE_LABEL]
        notes[f"predicted {number + 1} ahead"] = read.plain(wanted, "target")
    return notes

"""Adaptive masking: what the model finds hard is masked more often.

Feedback is a running mean of the loss by class (token id, or part of speech), after Yang et al.
2023. A *snapshot* freezes it as the weight table of an epoch and those after it. Masks depend
on snapshots alone, never on what was fed back since, and a state carries them all, each under
its name and SHA-256: with it any past epoch can be masked again, bit for bit.

Cost: `Feedback.update` is a few passes over the batch on the host; a snapshot compiles the
policy anew.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from premask._errors import PolicyError

TABLE = "adaptive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The weights in force from `epoch` on: int32 log2 by class, 8 fraction bits."""

    epoch: int
    log2_weights: np.ndarray

    @property
    def sha256(self) -> str:
        """Identity of the weights, whatever the epoch."""
        return hashlib.sha256(self.log2_weights.astype("<i4").tobytes()).hexdigest()

    @property
    def name(self) -> str:
        """Such as ``epoch-3-1f0c2a9b``."""
        return f"epoch-{self.epoch}-{self.sha256[:8]}"

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` checks and turns back."""
        data = base64.b64encode(self.log2_weights.astype("<i4").tobytes()).decode()
        return {"name": self.name, "epoch": self.epoch, "sha256": self.sha256, "data": data}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Snapshot:
        """The snapshot that `to_json` wrote.

        Raises:
            PolicyError: the weights are not those of the recorded SHA-256.
        """
        table = np.frombuffer(base64.b64decode(value["data"]), "<i4").astype(np.int32)
        snapshot = cls(epoch=int(value["epoch"]), log2_weights=table)
        if snapshot.sha256 != value["sha256"]:
            raise PolicyError(
                f"the weights of snapshot {value['name']} have SHA-256 {snapshot.sha256}, but "
                f"{value['sha256']} is recorded; load the state that was saved",
                location=f"snapshot {value['name']}",
            )
        return snapshot


class Feedback:
    """Running mean losses by class, and the snapshots taken of them."""

    def __init__(self, num_classes: int, *, decay: float) -> None:
        self.decay = decay
        self.snapshots: tuple[Snapshot, ...] = ()
        self._means: np.ndarray = np.zeros(num_classes, np.float64)
        self._seen: np.ndarray = np.zeros(num_classes, bool)

    def update(self, classes: Any, losses: Any) -> None:
        """Feeds losses back.

        Args:
            classes: ids (or codes of the track), any shape; those below 0, such as the -100 of
                labels, are passed over.
            losses: the loss of each, same shape.

        Raises:
            PolicyError: the shapes differ, a class is unknown, or a loss is not finite.
        """
        ids, values = _on_host(classes).reshape(-1), _on_host(losses).reshape(-1)
        if ids.shape != values.shape:
            raise PolicyError(f"got {ids.size} token ids, but {values.size} losses")
        ids, values = ids[ids >= 0], values[ids >= 0].astype(np.float64)
        if ids.size and (ids.max() >= len(self._means) or not np.isfinite(values).all()):
            raise PolicyError(
                f"token ids must lie below {len(self._means)} and losses be finite; "
                f"got id {ids.max()} and losses up to {values.max()}"
            )
        counts = np.bincount(ids, minlength=len(self._means))
        sums = np.bincount(ids, values, minlength=len(self._means))
        present = counts > 0
        batch = sums / np.maximum(counts, 1)
        mixed = self.decay * self._means + (1 - self.decay) * batch
        # The first loss of a class is its mean; zero would be no estimate of anything.
        self._means = np.where(present, np.where(self._seen, mixed, batch), self._means)
        self._seen = self._seen | present

    def snapshot(self, epoch: int) -> Snapshot:
        """Freezes the mean losses as the weights of `epoch` and those after it.

        The weight of a class is ``sigmoid(2 (mean - average) / deviation)``, over the classes
        seen so far; the others get the weight of an average class.

        Raises:
            PolicyError: there is a later snapshot, which this one would rewrite.
        """
        if self.snapshots and epoch <= self.snapshots[-1].epoch:
            raise PolicyError(
                f"a snapshot for epoch {epoch} would change epochs that are already masked "
                f"with {self.snapshots[-1].name}; take it for a later epoch"
            )
        snapshot = Snapshot(epoch=epoch, log2_weights=self._log2_weights())
        self.snapshots = (*self.snapshots, snapshot)
        return snapshot

    def in_force(self, epoch: int) -> int:
        """How many snapshots were taken for `epoch` or before; 0: uniform weights."""
        return sum(snapshot.epoch <= epoch for snapshot in self.snapshots)

    def state_dict(self) -> dict[str, Any]:
        """Means and snapshots as plain data."""
        seen = np.flatnonzero(self._seen)
        return {
            "means": {str(index): float(self._means[index]) for index in seen},
            "snapshots": [snapshot.to_json() for snapshot in self.snapshots],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave.

        Raises:
            PolicyError: a snapshot is not the recorded one, or is of another vocabulary.
        """
        snapshots = tuple(Snapshot.from_json(value) for value in state["snapshots"])
        for snapshot in snapshots:
            if len(snapshot.log2_weights) != len(self._means):
                raise PolicyError(
                    f"snapshot {snapshot.name} has {len(snapshot.log2_weights)} classes, but "
                    f"this policy is bound to {len(self._means)}"
                )
        self.snapshots = snapshots
        self._means, self._seen = np.zeros_like(self._means), np.zeros_like(self._seen)
        for index, mean in state["means"].items():
            self._means[int(index)], self._seen[int(index)] = mean, True

    def _log2_weights(self) -> np.ndarray:
        if not self._seen.any():
            return np.zeros(len(self._means), np.int32)
        seen = self._means[self._seen]
        deviation = max(float(seen.std()), 1e-4)
        score = np.where(self._seen, (self._means - seen.mean()) / deviation, 0.0)
        # -log2(1 + exp(-2 score)), relative to an average class.
        octaves = 1.0 - np.logaddexp2(0.0, -2.0 * score / np.log(2.0))
        fixed: np.ndarray = np.floor(octaves * 256 + 0.5).astype(np.int32)
        return fixed


def _on_host(array: Any) -> np.ndarray:
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return np.asarray(array)


def adaptive_law(laws: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The adaptive law among a policy's weights, or None."""
    return next((law for law in laws if law["by"] == "adaptive"), None)

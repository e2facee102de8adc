"""A policy bound to a vocabulary: the pure function from rows and an epoch to model inputs.

NumPy goes through a batch in pieces of about 32 thousand tokens, which stay in the cache and
take a quarter of the time; a row's mask does not depend on its neighbours, so the result is the
same, bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from premask._errors import PolicyError
from premask.masking._backend import Array, full, is_jax, namespace
from premask.masking._operation import Apply, Binding
from premask.masking._rows import PaddedRows
from premask.masking.adaptive import TABLE, Feedback, Snapshot, adaptive_law
from premask.masking.composite import COMPOSITES
from premask.masking.gathering import choose_rows, in_chunks
from premask.masking.operations import OPERATIONS
from premask.masking.policy import Policy, policy
from premask.masking.threefry import mask_key
from premask.masking.weight_laws import num_classes

# What the pipeline has to annotate for rows to carry a track or a boundary bit.
ANNOTATIONS = {
    "sentence_start": "sentences",
    "entity_start": "entities",
    "in_entity": "entities",
    "entity_labels": "entities",
    "phrase_start": "phrases",
    "in_phrase": "phrases",
    "pos_tags": "pos",
    "depth": "depth",
    "salience": "salience",
    "sentence_ranks": "sentence_ranks",
}
_BITS = ("sentence_start", "entity_start", "in_entity", "phrase_start", "in_phrase")


class Masker:
    """A policy, compiled. Made by `Policy.bind`.

    Attributes:
        policy, binding: what it was made of.
        members: the maskers of a composite's policies; empty otherwise.
        feedback: the losses of an adaptive policy; None otherwise.
    """

    def __init__(self, policy_: Policy, binding: Binding) -> None:
        self.policy = policy_
        self.binding = binding
        self._word = policy_.word  # a hash: made once, and out of what torch.compile traces
        self.members: tuple[Masker, ...] = ()
        self.feedback: Feedback | None = None
        if policy_.operation in COMPOSITES:
            self._bind_members()
            return
        if binding.boundaries is not None:
            lacking = [n for n in policy_.needs if n in _BITS and n not in binding.boundaries]
            self._refuse_lacking(lacking)
        law = adaptive_law(policy_.parameters.get("weights", ()))
        if law is not None:
            self.feedback = Feedback(num_classes(law, binding), decay=law["decay"])
        self._compiled: dict[int, Apply] = {0: self._compile(binding)}

    def __call__(
        self, rows: PaddedRows, epoch: int | Array = 0, *, step: int | None = None
    ) -> dict[str, Array]:
        """The model inputs of `rows` in `epoch`.

        Args:
            rows: a batch on NumPy, torch or JAX; the result is on the same backend and device.
            epoch: the epoch of every row, or int32 ``[B]``, one per row.
            step: the number of the batch in the run, for a policy that depends on it
                (`Policy.depends_on_step`).

        Returns:
            Named arrays ``[B, ...]``, see `Policy.outputs`; ids and labels are int32.

        Raises:
            PolicyError: the rows lack a track that the policy needs, or are too long.
        """
        rows = _with_a_column(rows)
        if self.members:
            member = self._choose(rows, epoch, step)
            return choose_rows(self.members, member, rows, epoch, step)
        self._check(rows)
        if self.feedback is None or not self.feedback.snapshots:
            return self._apply(0, rows, epoch)
        if isinstance(epoch, int):
            return self._apply(self.feedback.in_force(epoch), rows, epoch)
        return self._apply_by_epoch(self.feedback, rows, epoch)

    def update(self, token_ids: Any, losses: Any) -> None:
        """Feeds losses back to an adaptive policy; see `Feedback.update`.

        Raises:
            PolicyError: the policy has no adaptive weights, or the arrays do not fit.
        """
        for feedback in self._feedbacks():
            feedback.update(token_ids, losses)

    def snapshot(self, epoch: int) -> tuple[Snapshot, ...]:
        """Freezes what was fed back as the weights from `epoch` on; see `Feedback.snapshot`.

        Raises:
            PolicyError: the policy has no adaptive weights, or a later snapshot.
        """
        return tuple(feedback.snapshot(epoch) for feedback in self._feedbacks())

    @property
    def version(self) -> int:
        """Grows with every snapshot; what compiles this function anew must look at it."""
        return sum(len(feedback.snapshots) for feedback in self._all_feedbacks())

    def state_dict(self) -> dict[str, Any]:
        """What an adaptive policy has learned, as plain data; without feedback nearly empty."""
        return {
            "policy": self.policy.fingerprint,
            "feedback": [feedback.state_dict() for feedback in self._all_feedbacks()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave: all snapshots, so all past epochs as well.

        Raises:
            PolicyError: the state is that of another policy, or is damaged.
        """
        if state["policy"] != self.policy.fingerprint:
            raise PolicyError(
                f"the state belongs to policy {state['policy']}, not to "
                f"{self.policy.fingerprint}; bind the policy that it was saved with",
                location="policy",
            )
        for feedback, saved in zip(self._all_feedbacks(), state["feedback"], strict=True):
            feedback.load_state_dict(saved)
        self._forget_compiled()

    def _forget_compiled(self) -> None:
        for member in self.members:
            member._forget_compiled()
        if not self.members:
            self._compiled = {0: self._compiled[0]}

    def _bind_members(self) -> None:
        composite = COMPOSITES[self.policy.operation]
        parameters = self.policy.parameters
        self.members = tuple(
            Masker(policy(member), self.binding) for member in composite.members(parameters)
        )
        self._choose = composite.choose(parameters, self._word)
        outputs = {member.policy.outputs for member in self.members}
        if len(outputs) > 1:
            raise PolicyError(
                "the policies of a mixture or schedule must give the same arrays, got "
                + " and ".join(", ".join(names) for names in sorted(outputs)),
                location="policy.policies",
            )

    def _compile(self, binding: Binding) -> Apply:
        return OPERATIONS[self.policy.operation].compile(self.policy.parameters, binding)

    def _apply(self, version: int, rows: PaddedRows, epoch: int | Array) -> dict[str, Array]:
        """Masks with the weights of the snapshot numbered `version`, from 1; 0: none."""
        if version not in self._compiled and self.feedback is not None:
            table = self.feedback.snapshots[version - 1].log2_weights
            tables = {**self.binding.tables, TABLE: table}
            binding = dataclasses.replace(self.binding, tables=tables)
            self._compiled[version] = self._compile(binding)
        key = mask_key(rows.keys, self._word, epoch)
        return in_chunks(self._compiled[version], rows, key)

    def _apply_by_epoch(
        self, feedback: Feedback, rows: PaddedRows, epoch: Array
    ) -> dict[str, Array]:
        xp = namespace(rows.input_ids)
        versions = list(range(len(feedback.snapshots) + 1))
        if not is_jax(xp):  # under jit the epochs are not known yet
            epochs = {int(value) for value in epoch.tolist()}
            versions = sorted({feedback.in_force(value) for value in epochs})
        outputs = self._apply(versions[0], rows, epoch)
        for version in versions[1:]:
            begins = epoch >= feedback.snapshots[version - 1].epoch
            later = self._apply(version, rows, epoch)
            for name, array in later.items():
                here = begins.reshape((-1,) + (1,) * (array.ndim - 1))
                outputs[name] = xp.where(here, array, outputs[name])
        return outputs

    def _all_feedbacks(self) -> list[Feedback]:
        own = [] if self.feedback is None else [self.feedback]
        return own + [item for member in self.members for item in member._all_feedbacks()]

    def _feedbacks(self) -> list[Feedback]:
        feedbacks = self._all_feedbacks()
        if not feedbacks:
            raise PolicyError(
                f"policy {self.policy.name!r} takes no feedback; use preset adaptive, or "
                "weights: [adaptive]",
                location="policy.weights",
            )
        return feedbacks

    def _check(self, rows: PaddedRows) -> None:
        needs = (name for name in self.policy.needs if name not in _BITS)
        self._refuse_lacking([name for name in needs if name not in rows.tracks])
        if namespace(rows.input_ids) is not np or not len(rows.lengths):
            return
        longest, width = int(rows.lengths.max()), rows.input_ids.shape[1]
        if longest > min(self.binding.max_length, width):
            raise PolicyError(
                f"a row has {longest} tokens, on {width} positions, but the policy was bound "
                f"to rows of at most {self.binding.max_length}; bind it with a larger one",
                location=f"row {int(rows.lengths.argmax())}",
            )

    def _refuse_long(self, lengths: np.ndarray) -> None:
        longest = int(lengths.max(initial=0))
        if longest > self.binding.max_length:
            raise PolicyError(
                f"a row has {longest} tokens, but the policy was bound to rows of at most "
                f"{self.binding.max_length}; bind it with a larger one",
                location=f"row {int(lengths.argmax())}",
            )

    def _refuse_lacking(self, lacking: list[str]) -> None:
        if not lacking:
            return
        names = ("tracks " if len(lacking) > 1 else "track ") + " and ".join(lacking)
        # All that the policy needs, so that one more build is enough.
        stages = sorted(
            {ANNOTATIONS[name] for name in self.policy.needs if name in ANNOTATIONS}
        )
        remedy = f"build with annotate: {{tracks: [{', '.join(stages)}]}}"
        if "segment" in lacking:
            remedy = "build rows of pairs, a source and its target: rows.arrangement: pairs"
        raise PolicyError(
            f"policy {self.policy.name!r} needs the {names}, which these rows lack; {remedy}",
            location="policy",
        )


def _with_a_column(rows: PaddedRows) -> PaddedRows:
    """Rows of width 0 get one column of padding: gathers need a place to look at."""
    num_rows, width = rows.input_ids.shape
    if width:
        return rows
    column = full(rows.lengths, (num_rows, 1), 0)
    tracks = dict.fromkeys(rows.tracks, column)
    return dataclasses.replace(rows, input_ids=column, boundaries=column, tracks=tracks)

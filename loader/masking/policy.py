"""A policy: what to do to rows, as frozen data.

A policy is an operation and its parameters, nothing else: the same data means the same masks on
every machine. Its fingerprint is the SHA-256 of its canonical JSON, and the first 32 bits of
that, the policy's *word*, go into the key of every mask. Costs nothing until it is bound.

>>> policy("random", rate=0.3).parameters["rate"]
0.3
>>> policy({"preset": "random", "rate": 0.3}) == policy("random", rate=0.3)
True
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from premask._errors import PolicyError
from premask._yaml import load_yaml
from premask.masking._operation import Binding
from premask.masking.adaptive import adaptive_law
from premask.masking.composite import COMPOSITES, Composite, depends_on_step
from premask.masking.operations import OPERATIONS
from premask.masking.presets import PRESETS
from premask.masking.validate import choose, validate_parameters

if TYPE_CHECKING:
    from premask.kernels.choice import Kernel
    from premask.masking.masker import Masker

_VERSION = 1
_FILES = (".json", ".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way to mask, fully resolved. Made by `policy`, which validates.

    Attributes:
        name: the preset's name, or one of the user's choice; no part of the fingerprint.
        operation: a key of `premask.masking.operations.OPERATIONS`.
        parameters: every parameter of the operation, as plain values.
    """

    name: str
    operation: str
    parameters: Mapping[str, Any] = field(hash=False)

    @property
    def canonical(self) -> str:
        """The policy as JSON with sorted keys: what the fingerprint is taken of."""
        value = {
            "version": _VERSION,
            "operation": self.operation,
            "parameters": self.parameters,
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `canonical`, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @property
    def word(self) -> int:
        """The first 32 bits of the fingerprint: the policy's part of a mask key."""
        return int(self.fingerprint[:8], 16)

    @property
    def law(self) -> str:
        """The distribution of the masks, in words; that of the preset where it is one."""
        preset = PRESETS.get(self.name)
        if preset is None or preset.operation != self.operation:
            return f"operation {self.operation} with the parameters given"
        return preset.law

    @property
    def deviations(self) -> tuple[str, ...]:
        """Where the preset differs from its source, on purpose."""
        preset = PRESETS.get(self.name)
        if preset is None or preset.operation != self.operation:
            return ()
        return preset.deviations

    @property
    def needs(self) -> tuple[str, ...]:
        """Tracks and boundary bits that rows must have, lower-case."""
        if self.operation in COMPOSITES:
            needs = [name for member in self.members for name in member.needs]
            return tuple(dict.fromkeys(needs))
        return OPERATIONS[self.operation].needs(self.parameters)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the arrays that a batch gets."""
        if self.operation in COMPOSITES:
            return self.members[0].outputs
        return OPERATIONS[self.operation].outputs

    @property
    def depends_on_step(self) -> bool:
        """Whether masks depend on the step of the run, so that `Masker` must be given it."""
        if self.operation not in COMPOSITES:
            return False
        return depends_on_step(self.operation, self.parameters) or any(
            member.depends_on_step for member in self.members
        )

    @property
    def takes_feedback(self) -> bool:
        """Whether masks depend on losses that are fed back, see `Masker.update`."""
        weights = self.parameters.get("weights", ())
        own = self.operation in OPERATIONS and adaptive_law(weights) is not None
        return own or any(member.takes_feedback for member in self.members)

    @property
    def members(self) -> tuple[Policy, ...]:
        """The policies that a composite chooses from; none for any other policy."""
        if self.operation not in COMPOSITES:
            return ()
        listed = COMPOSITES[self.operation].members(self.parameters)
        return tuple(policy(item) for item in listed)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `policy` turns back into an equal policy."""
        plain = json.loads(json.dumps(self.parameters))
        return {"name": self.name, "operation": self.operation, **plain}

    def bind(self, binding: Binding, kernel: Kernel = "reference") -> Masker:
        """The function of this policy for a vocabulary, a longest row and tables.

        Args:
            kernel: what evaluates it, to the same bits; see `premask.kernels`.

        Raises:
            PolicyError: the vocabulary, the tables or the rows lack what the policy needs.
            RequestError: the kernel is not installed, or does not cover the policy.
        """
        from premask.kernels.choice import bind_policy

        return bind_policy(self, binding, kernel)


def policy(
    value: Policy | Mapping[str, Any] | str | os.PathLike[str], /, **changes: Any
) -> Policy:
    """A policy from a preset's name, a mapping, a YAML or JSON file, or another policy.

    A mapping has ``preset`` (a preset's name) or ``operation``, and parameters beside it.
    `changes` are parameters that replace those of `value`.

    Raises:
        PolicyError: an unknown preset, operation or parameter, or a value that is not allowed.
    """
    if isinstance(value, Policy):
        value = value.to_dict()
    elif isinstance(value, os.PathLike) or str(value).endswith(_FILES):
        value = _read(Path(os.fspath(value)))  # type: ignore[arg-type]
    elif isinstance(value, str):
        value = {"preset": value}
    return _resolve(value, changes, location="policy")


def _resolve(value: Any, changes: Mapping[str, Any], *, location: str) -> Policy:
    if not isinstance(value, Mapping) or ("preset" in value) == ("operation" in value):
        raise PolicyError(
            f"expected a mapping with either 'preset' or 'operation', got {value!r}",
            location=location,
        )
    fields = {**value, **changes}
    name = fields.pop("name", None)
    if "preset" in fields:
        key = choose(
            fields.pop("preset"), PRESETS, what="preset", location=f"{location}.preset"
        )
        operation = PRESETS[key].operation
        preset = dict(PRESETS[key].parameters)
        if fields.get("steps") is not None:
            preset.pop("epochs", None)  # a length in steps replaces the preset's in epochs
        fields, name = {**preset, **fields}, name or key
    else:
        operation = choose(
            fields.pop("operation"),
            [*OPERATIONS, *COMPOSITES],
            what="operation",
            location=f"{location}.operation",
        )
    if operation in COMPOSITES:
        parameters = _resolve_composite(COMPOSITES[operation], fields, location=location)
    else:
        table = OPERATIONS[operation].parameters
        parameters = validate_parameters(fields, table, location=location)
    return Policy(name=str(name or operation), operation=operation, parameters=parameters)


def _resolve_composite(
    composite: Composite, fields: Mapping[str, Any], *, location: str
) -> dict[str, Any]:
    parameters = validate_parameters(fields, composite.parameters, location=location)
    parameters["policies"] = tuple(
        _plain_member(item, f"{location}.policies[{index}]")
        for index, item in enumerate(parameters["policies"])
    )
    composite.choose(parameters, 0)
    for member in composite.members(parameters)[:1]:
        _resolve(member, {}, location=f"{location}.policies[0]")
    return parameters


def _plain_member(value: Any, location: str) -> dict[str, Any]:
    """A member of a composite as plain data, resolved and without its name."""
    if isinstance(value, Policy):
        value = value.to_dict()
    if isinstance(value, str):
        value = {"preset": value}
    member = _resolve(value, {}, location=location)
    return {"operation": member.operation, **member.parameters}


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"cannot read the policy file: {error}", location=str(path)
        ) from error
    if path.suffix == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PolicyError(f"not JSON: {error}", location=str(path)) from error
    try:
        return load_yaml(text, location=str(path), error=PolicyError)
    except ImportError as error:
        raise PolicyError(
            "reading YAML needs PyYAML: pip install pyyaml, or write the policy as .json",
            location=str(path),
        ) from error

"""A preset: a named row of the table of policies. Data only; it costs nothing to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One named policy: an operation, the parameters it changes, and what it promises.

    Attributes:
        name: what users write, such as ``span_corruption``.
        operation: name of the `Operation` that it runs.
        parameters: those that differ from the operation's defaults.
        summary: one sentence for lists.
        law: the distribution of what comes out, as exactly as a sentence can say it.
        source: the publication or program that the law is taken from.
        deviations: where it differs from its source, on purpose, one sentence each.
    """

    name: str
    operation: str
    summary: str
    law: str
    source: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()

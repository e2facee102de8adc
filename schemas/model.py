"""What the parts of a job have in common: unknown keys are refused, values never change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A part of the job."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

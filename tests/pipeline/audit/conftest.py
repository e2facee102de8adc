"""Rows to audit, made once."""

from __future__ import annotations

import pytest
from premask.rows import Rows

from tests.pipeline.audit.material import made_up_rows


@pytest.fixture(scope="session")
def rows() -> Rows:
    """1,500 rows of up to 128 tokens."""
    return made_up_rows(1500)

"""Fixtures that every test may use. Tests that need the shared data skip where it is absent."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A loaded machine is no failure; and what passed once in the check passes again.
settings.register_profile(
    "premask",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("premask")

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PREMASK_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared_small() -> Path:
    """``shared/data/small``, or a skip."""
    path = SHARED / "data" / "small"
    if not path.is_dir():
        pytest.skip("the shared test data are absent (set PREMASK_SHARED to their folder)")
    return path


@pytest.fixture(scope="session")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Unpacks a ``.gz`` file beside others of its folder's name, keeping the inner name."""
    root = tmp_path_factory.mktemp("unpacked")

    def run(path: Path) -> Path:
        target = root / path.parent.name / path.name.removesuffix(".gz")
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.write_bytes(gzip.decompress(path.read_bytes()))
        return target

    return run


@pytest.fixture(scope="session")
def annotated_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set built from the sample corpus, with every track; see `tests.annotated`."""
    from tests.annotated import build_annotated

    return build_annotated(tmp_path_factory.mktemp("annotated"))

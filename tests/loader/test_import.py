"""`import premask` is light, and its names are a promise."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import premask

HEAVY = ("ray", "spacy", "datasets", "tokenizers", "torch", "jax", "pydantic", "fsspec", "yaml")


def test_the_public_names_are_these() -> None:
    assert premask.__all__ == [
        "Binding",
        "Boundary",
        "FormatError",
        "Loader",
        "Manifest",
        "MaskCollator",
        "Mixture",
        "PaddedRows",
        "Policy",
        "PolicyError",
        "PremaskError",
        "RequestError",
        "Rows",
        "ShardSet",
        "UnitError",
        "Vocabulary",
        "__version__",
        "apply_policy",
        "make_rows",
        "open_shards",
        "policy",
    ]
    assert all(hasattr(premask, name) for name in premask.__all__)


def test_importing_loads_no_heavy_package() -> None:
    code = "import premask, sys; print([m for m in sys.argv[1:] if m in sys.modules])"
    command = [sys.executable, "-c", code, *HEAVY]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_importing_is_quick_beside_its_two_dependencies() -> None:
    """0.3 s are promised; CPU time of ours is set against theirs, so a busy machine passes."""
    code = (
        "import time\nstart = time.process_time()\nimport numpy, pyarrow, pyarrow.ipc\n"
        "theirs = time.process_time() - start\nimport premask\n"
        "print((time.process_time() - start - theirs) / theirs)"
    )
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(found) < 2.5  # about 1 where this was written


def test_the_version_is_that_of_the_distribution() -> None:
    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert premask.__version__ == project["version"]

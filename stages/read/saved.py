"""Recognises data sets that the Hugging Face library saved with ``save_to_disk``.

A data set is a directory with ``state.json``, a dictionary of splits one with
``dataset_dict.json`` and a directory per split. Their Arrow files are read without the library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from premask._errors import RequestError

_DATASET_FILE = "state.json"
_SPLITS_FILE = "dataset_dict.json"


def is_saved_dataset(path: str) -> bool:
    """Whether a local path is a saved data set, or a dictionary of such."""
    return any((Path(path) / name).is_file() for name in (_DATASET_FILE, _SPLITS_FILE))


def saved_directory(path: Path, split: str) -> Path:
    """The directory that holds the Arrow files of a saved data set.

    Raises:
        RequestError: it has no such split, or was saved with an index by an old version.
    """
    folder = path
    if (path / _SPLITS_FILE).is_file():
        splits = _load(path / _SPLITS_FILE).get("splits", [])
        folder = path / split
        if split not in splits or not folder.is_dir():
            raise RequestError(
                f"{path} has no split {split!r}: it has {splits}", location="sources.split"
            )
    if _load(folder / _DATASET_FILE).get("_indices_data_files"):
        raise RequestError(
            f"{folder} was saved with an index of its rows: load it with `datasets` and save "
            "it again, which writes the rows themselves",
            location=str(folder),
        )
    return folder


def _load(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise RequestError(f"{path} cannot be read ({exc})", location=str(path)) from exc
    return value if isinstance(value, dict) else {}

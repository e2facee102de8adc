"""Saved data sets of others, sound and damaged, as the audit takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from premask._errors import FormatError, PremaskError, RequestError
from premask.pipeline.audit.foreign import ForeignData

IDS = [[2, 7, 9, 3], [2, 8, 3]]
LABELS = [[-100, 7, -100, -100], [-100] * 3]


def save(folder: Path, **columns: Any) -> Path:
    datasets.disable_progress_bars()
    data = {"input_ids": IDS, "labels": LABELS, **columns}
    datasets.Dataset.from_dict(data).save_to_disk(str(folder))
    return folder


def look(folder: Path, **options: Any) -> ForeignData:
    """The data, once every row was looked at."""
    data = ForeignData(location=str(folder), **options)
    assert data.vocabulary.size
    for rows in data.tasks():
        list(data.blocks(rows))
    return data


def test_the_highest_id_is_looked_for_in_every_row(tmp_path: Path) -> None:
    ids = [*([[5, 6]] * 2500), [5, 30_000]]
    data = look(save(tmp_path / "a", input_ids=ids, labels=[[-100, -100]] * 2501))
    assert data.vocabulary.size > 30_000
    assert data.max_length == 2


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"input_ids": [1, 2]}, "not of lists of integers"),
        ({"labels": ["a", "b"]}, "not of lists of integers"),
        ({"input_ids": [[1.5], [2.0]]}, "not of lists of integers"),
        ({"input_ids": [[2, None, 9, 3], [2, 8, 3]]}, "has nulls"),
        ({"labels": [None, [-100] * 3]}, "has nulls"),
        ({"input_ids": [[2, -7, 9, 3], [2, 8, 3]]}, "token ids from -7"),
        ({"labels": [[-100, 1 << 40, -100, -100], [-100] * 3]}, "to 1099511627776"),
        ({"labels": [[-100], [-100] * 3]}, "another length"),
    ],
)
def test_columns_that_cannot_be_audited_are_refused(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    with pytest.raises(PremaskError, match=said):
        look(save(tmp_path / "a", **columns))


def test_the_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    folder = save(tmp_path / "a")
    with pytest.raises(RequestError, match="token id 9; the tokenizer has 6"):
        look(folder, tokenizer=str(tmp_path / "vocab.txt"))


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json"])
@pytest.mark.parametrize("content", ["22", "[]", "null", "{", "[" * 9999])
def test_descriptions_that_are_none_are_refused(
    tmp_path: Path, name: str, content: str
) -> None:
    folder = save(tmp_path / "a")
    (folder / name).write_text(content)
    with pytest.raises(RequestError, match="neither a shard set nor a saved data set"):
        look(folder)


def test_wrong_offsets_are_refused_before_they_are_followed(tmp_path: Path) -> None:
    folder = save(tmp_path / "a")
    path = folder / "data-00000-of-00001.arrow"
    data = bytearray(path.read_bytes())
    place = data.index(np.array([0, 4, 7], np.int32).tobytes())
    data[place + 4 : place + 8] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged"):
        look(folder)


def test_a_file_that_is_no_stream_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "a")
    (folder / "data-00000-of-00001.arrow").write_bytes(b"\xe0\xfb\xff\xdf" * 9)
    with pytest.raises(RequestError, match="neither a shard set nor a saved data set"):
        look(folder)

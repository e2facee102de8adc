"""A tiny corpus, a tiny tokenizer, and a job over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from premask.schemas.job import Job
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tests.pipeline.sets import run_build

WORDS = [
    "the",
    "cat",
    "of",
    "Paris",
    "sat",
    "on",
    "a",
    "mat",
    "near",
    "old",
    "London",
    "while",
    "rain",
    "fell",
    "over",
    "the",
    "river",
    "and",
    "seven",
    "boats",
    "went",
    "past",
    "a",
    "green",
    "bridge",
    "where",
    "José",
    "sold",
    "bread",
    "tea",
    "and",
    "coffee",
    "to",
    "people",
]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def sentence(number: int) -> str:
    """A sentence that depends on nothing but its number."""
    words = [WORDS[(number * 7 + k * (3 + number % 5)) % len(WORDS)] for k in range(12)]
    return " ".join([*words, str(number)]) + "."


def document(number: int) -> str:
    return "\n".join(sentence(number * 10 + k) for k in range(3 + number % 4))


def job_values(corpus: Path, tokenizer: Path, out: Path) -> dict[str, Any]:
    """A job of nine units, as plain values."""
    return {
        "sources": [{"path": str(corpus), "document": "paragraph"}],
        "output": str(out),
        "tokenizer": str(tokenizer),
        "unit_bytes": 4096,
        "rows": {"max_length": 32},
    }


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece tokenizer in the manner of BERT, trained on the corpus's own words."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator(map(sentence, range(500)), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three text files of 40 documents each, split by blank lines: about 30 kB."""
    folder = tmp_path_factory.mktemp("corpus")
    for k in range(3):
        documents = (document(40 * k + number) for number in range(40))
        (folder / f"part-{k}.txt").write_text("\n\n".join(documents))
    return folder


@pytest.fixture
def values(corpus: Path, tokenizer_file: Path, tmp_path: Path) -> dict[str, Any]:
    """The job as plain values, its output in the test's own folder."""
    return job_values(corpus, tokenizer_file, tmp_path / "out")


@pytest.fixture
def make_job(values: dict[str, Any]) -> Callable[..., Job]:
    """The job, with changes."""
    return lambda **changes: Job.model_validate({**values, **changes})


@pytest.fixture(scope="session")
def built_set(
    corpus: Path, tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The set of the job, built once; for tests that only look at it."""
    out = tmp_path_factory.mktemp("built") / "out"
    run_build(Job.model_validate(job_values(corpus, tokenizer_file, out)))
    return out

"""Shard sets built from real corpora with real tokenizers, each once per test session."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from premask.pipeline.build import build
from premask.pipeline.progress import LineReporter
from premask.schemas.job import Job
from premask.schemas.unit import Ledger, Unit
from premask.stages.chain import Workbench, build_chain
from premask.stages.compose import Clock, compose
from premask.stages.count import Counter
from premask.stages.read import plan_source
from tokenizers import Tokenizer

from tests.conftest import SHARED

SMALL = SHARED / "data" / "small"
CORPORA = {
    "enwiki": SMALL / "dump" / "enwiki-pages-articles1-shortened.xml.bz2",
    "ltgwiki": SMALL / "dump" / "ltgwiki-pages-articles.xml.gz",
    "wikiextractor": SMALL / "wiki" / "extracted" / "en" / "AA_wiki_00.gz",
    "novels": SMALL / "books" / "en",
}
TOKENIZERS = {
    "bert": "bert-base-uncased/tokenizer.json.gz",
    "roberta": "roberta-base/tokenizer.json.gz",
    "gpt2": "gpt2/vocab.json.gz",
    "t5": "t5-small/tokenizer.json.gz",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSet:
    """A shard set with the job that made it."""

    job: Job
    path: Path

    @property
    def table(self) -> pa.Table:
        """All rows, shard by shard."""
        files = sorted((self.path / "shards").glob("*.arrow"))
        return pa.concat_tables([pa.ipc.open_stream(file).read_all() for file in files])

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the set ships."""
        return Tokenizer.from_file(str(self.path / "tokenizer.json"))

    def documents(self) -> list[tuple[str, str]]:
        """Every (id, cleaned text) that the job tokenizes; read once per corpus."""
        source = self.job.sources[0].path
        if source not in _DOCUMENTS:
            _DOCUMENTS[source] = list(_read(self.job))
        return _DOCUMENTS[source]


_DOCUMENTS: dict[str, list[tuple[str, str]]] = {}


def _read(job: Job) -> Iterator[tuple[str, str]]:
    workbench = Workbench.open(job)
    for index, source in enumerate(job.sources):
        for piece in plan_source(source, index, job.unit_bytes):
            unit = Unit(slices=(piece,))
            chain = build_chain(workbench, unit, Ledger.of(unit), Counter(1))
            names = [stage.name for stage in chain]
            for batch in compose(chain[: names.index("tokenize")], Clock()):
                yield from zip(
                    batch["document_id"].to_pylist(), batch["text"].to_pylist(), strict=True
                )


@pytest.fixture(scope="session")
def tokenizer_paths(shared_small: Path, unpack: Callable[[Path], Path]) -> dict[str, Path]:
    """The real tokenizers, unpacked, by short name."""
    folder = shared_small / "tokenizers"
    unpack(folder / "gpt2" / "merges.txt.gz")
    return {name: unpack(folder / file) for name, file in TOKENIZERS.items()}


@pytest.fixture(scope="session")
def real_set(
    tokenizer_paths: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], RealSet]:
    """Builds (corpus, tokenizer) with one row per window of a document, once."""
    made: dict[tuple[str, str], RealSet] = {}

    def make(corpus: str, tokenizer: str) -> RealSet:
        if (corpus, tokenizer) not in made:
            path = tmp_path_factory.mktemp(f"{corpus}-{tokenizer}") / "set"
            job = Job.model_validate(
                {
                    "sources": [{"path": str(CORPORA[corpus])}],
                    "output": str(path),
                    "tokenizer": str(tokenizer_paths[tokenizer]),
                    "rows": {"arrangement": "documents", "max_length": 128},
                }
            )
            build(job, LineReporter(stream=io.StringIO()))
            made[corpus, tokenizer] = RealSet(job=job, path=path)
        return made[corpus, tokenizer]

    return make

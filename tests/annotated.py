"""A shard set built from the sample corpus, with every track that there is.

Annotated by ``premask/en``, to which a component is added that hangs each word on the next one
of its sentence: ``premask/en`` has no parser, and depth needs some tree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import spacy
from premask.schemas.job import Job, Source
from premask.stages.annotate_model import find_pipeline
from premask.stages.train_tokenizer import Training, train_tokenizer
from spacy.attrs import DEP, HEAD
from spacy.language import Language
from spacy.tokens import Doc
from tokenizers import Tokenizer

from tests.pipeline.sets import run_build

ROOT = Path(__file__).resolve().parent.parent
TRACKS = ["sentences", "entities", "phrases", "pos", "depth", "salience", "sentence_ranks"]


@Language.component("premask_tests_tree")
def hang_words_on_the_next(doc: Doc) -> Doc:
    """Gives a document a dependency tree, whatever it says."""
    heads = [min(token.i + 1, token.sent.end - 1) - token.i for token in doc]
    label = doc.vocab.strings.add("dep")
    values: Any = np.array([[head % 2**64, label] for head in heads], np.uint64).reshape(-1, 2)
    return doc.from_array([HEAD, DEP], values)


def build_annotated(root: Path) -> Path:
    """Builds the set below `root`: three shards of short rows, with collocations."""
    sources = [{"path": str(ROOT / "samples" / name)} for name in ("wiki", "news")]
    nlp = spacy.load(find_pipeline("premask/en").load_name)
    nlp.add_pipe("premask_tests_tree", last=True)
    nlp.to_disk(root / "pipeline")
    values: dict[str, Any] = {
        "sources": sources,
        "output": str(root / "out"),
        "tokenizer": str(_tokenizer(root, sources)),
        "unit_bytes": 25_000,
        "annotate": {"pipeline": str(root / "pipeline"), "tracks": TRACKS},
        "rows": {"max_length": 48},
        "collocations": {"min_count": 3, "max_words": 3},
    }
    run_build(Job.model_validate(values))
    return root / "out"


def _tokenizer(root: Path, sources: list[dict[str, str]]) -> Path:
    """A WordPiece tokenizer in the manner of BERT, with sentinels and an end of sequence."""
    path = root / "tokenizer.json"
    settings = Training(kind="wordpiece", vocab_size=2000, progress=False)
    train_tokenizer([Source.model_validate(source) for source in sources], path, settings)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.add_special_tokens(["</s>", *(f"<extra_id_{k}>" for k in range(30))])
    tokenizer.save(str(path))
    return path

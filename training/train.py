"""Trains the English pipeline that Premask ships, from openly licensed corpora alone.

    OMP_NUM_THREADS=1 python training/train.py --corpora CORPORA --out build/en

`--corpora` is the folder with ``corpora.tar.xz``, or the unpacked tree. One core, 10 to 15
minutes, 2 GB. Writes ``OUT/pipeline`` (ready for `spacy.load`), ``OUT/scores.json`` and the
prepared documents under ``OUT/documents``. Everything is seeded. One thread is faster than
several: the matrices are small.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
from pathlib import Path

import spacy
from augment import Names, augmented
from evaluate import scores
from prepare import save, split_corpora, to_doc
from shrink import shrink
from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from spacy.util import load_config
from thinc.api import NumpyOps, set_current_ops

CONFIG = Path(__file__).parent / "config.cfg"
EXCHANGED_COPIES = 2


def unpack(corpora: Path, out: Path) -> Path:
    """The root of the unpacked corpora."""
    archive = corpora / "corpora.tar.xz"
    if not archive.exists():
        return corpora
    root = out / "corpora"
    if not root.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="data")
    return root


def prepare(root: Path, folder: Path, seed: int) -> None:
    """Writes ``train``, ``dev`` and one file per test set."""
    folder.mkdir(parents=True, exist_ok=True)
    blank = spacy.blank("en")
    splits = split_corpora(root)
    names = Names(root, splits["train"], blank.tokenizer)
    splits["train_exchanged"] = [
        document
        for copy in range(EXCHANGED_COPIES)
        for document in augmented(splits["train"], names, seed + copy)
    ]
    for name in ("train_pos", "train_twitter", "train_exchanged"):
        splits["train"] += splits.pop(name)
    splits["dev"] += splits.pop("dev_pos")
    for name, documents in splits.items():
        save((to_doc(blank.vocab, document) for document in documents), folder / name)


def fit(documents: Path, out: Path, seed: int, steps: int) -> Language:
    """The trained pipeline, with its averaged parameters: only the saved ones are."""
    paths = {
        "paths.train": str(documents / "train.spacy"),
        "paths.dev": str(documents / "dev.spacy"),
    }
    overrides = {**paths, "system.seed": seed, "training.max_steps": steps}
    nlp = init_nlp(load_config(CONFIG, overrides=overrides, interpolate=False))
    train(nlp, out)
    return spacy.load(out / "model-last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=6000)
    options = parser.parse_args()
    # NumPy's OpenBLAS is two to four times as fast as the BLIS inside spaCy's wheels.
    set_current_ops(NumpyOps(use_blis=False))
    documents = options.out / "documents"
    prepare(unpack(options.corpora, options.out), documents, options.seed)
    began = time.process_time()
    nlp = fit(documents, options.out, options.seed, options.steps)
    print(f"trained in {(time.process_time() - began) / 60:.1f} CPU minutes")
    shrink(nlp, options.out / "pipeline")
    report = scores(spacy.load(options.out / "pipeline"), documents)
    (options.out / "scores.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

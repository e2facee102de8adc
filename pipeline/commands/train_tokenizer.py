"""``premask train-tokenizer``: a tokenizer from a corpus."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from premask._errors import RequestError
from premask.pipeline.commands.guard import guarded


@guarded
def train_tokenizer(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input", metavar="PATH", help="File, directory, glob or URL; again for more."
        ),
    ],
    out: Annotated[str, typer.Option(metavar="PATH", help="A new .json file or directory.")],
    kind: Annotated[str, typer.Option(help="wordpiece, bpe or unigram.")] = "wordpiece",
    vocab_size: Annotated[int, typer.Option(min=1, help="Ids in all.")] = 30000,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Fold case.")] = False,
    min_frequency: Annotated[
        int | None, typer.Option(min=1, help="Rarer pairs are not merged.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="Of the inputs.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a WordPiece (BERT), BPE (RoBERTa) or Unigram (T5) tokenizer."""
    from premask.pipeline.refusals import explain
    from premask.schemas.job import Source
    from premask.stages.train_tokenizer import Training
    from premask.stages.train_tokenizer import train_tokenizer as train
    from pydantic import ValidationError

    if kind not in ("wordpiece", "bpe", "unigram"):
        raise RequestError(
            f"expected wordpiece, bpe or unigram, got {kind!r}", location="--kind"
        )
    try:
        sources = [Source.model_validate({"path": p, "format": format_}) for p in inputs]
    except ValidationError as error:
        message, location = explain(error, Source)
        raise RequestError(message, location=f"--{location}") from error
    options: dict[str, Any] = {"kind": kind, "vocab_size": vocab_size, "lowercase": lowercase}
    if min_frequency is not None:
        options["min_frequency"] = min_frequency
    progress = not quiet and sys.stderr.isatty()
    loaded = train(sources, out, Training(**options, progress=progress))
    print(f"{out}: {loaded.model}, {loaded.vocabulary.size:,} ids, sha256 {loaded.sha256}")

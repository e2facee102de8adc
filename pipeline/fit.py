"""Whether the tokenizer knows the language of the input: asked before any unit runs.

A wrong or damaged vocabulary turns a corpus into unknown tokens without an error (that of
another model, one of Latin letters over Chinese text). The first documents of a few units are
tokenized, and a job whose sample is mostly unknown is refused. Takes at most 64 KiB of text
from each of four units: some milliseconds where inputs are local.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa
from premask._errors import PremaskError, RequestError
from premask.pipeline.plan import Plan
from premask.schemas.job import Job
from premask.schemas.unit import Ledger, Unit
from premask.stages.chain import text_stages
from premask.stages.compose import Clock, compose

_UNITS = 4
_CHARACTERS = 1 << 16
_FEWEST_TOKENS = 100  # a share of less says nothing


def refuse_unfit(plan: Plan) -> None:
    """Refuses a job whose sampled text is mostly unknown to its tokenizer.

    Raises:
        RequestError: the share of unknown tokens is above ``max_unknown``.
    """
    tokenizer, limit = plan.workbench.tokenizer, plan.job.max_unknown
    unknown = tokenizer.vocabulary.unk_id
    if unknown is None or limit >= 1:
        return
    texts = [text for unit in _spread(plan.units) for text in _first_texts(plan.job, unit)]
    encodings = tokenizer.encoder.encode_batch_fast(texts, add_special_tokens=False)
    ids = np.concatenate([np.empty(0, np.int64), *(encoding.ids for encoding in encodings)])
    share = float(np.mean(ids == unknown)) if len(ids) >= _FEWEST_TOKENS else 0.0
    if share > limit:
        name = tokenizer.tokenizer.id_to_token(unknown)
        raise RequestError(
            f"the tokenizer does not know this text: {share:.0%} of {len(ids):,} sampled "
            f"tokens are {name}, more than max_unknown {limit:g}; give the tokenizer of this "
            "language, or set max_unknown=1 to build anyway",
            location="tokenizer",
        )


def _spread(units: tuple[Unit, ...]) -> Iterator[Unit]:
    """A few units, evenly over the whole input."""
    for index in sorted({len(units) * k // _UNITS for k in range(_UNITS)}):
        yield units[index]


def _first_texts(job: Job, unit: Unit) -> Iterator[str]:
    """Clean text from the start of a unit; what cannot be read is left to the unit to tell."""
    left = _CHARACTERS
    whole = job.model_copy(update={"split": None})  # a small part may begin far into the unit
    batches = compose(text_stages(whole, unit, Ledger.of(unit)), Clock())
    with closing(batches):  # type: ignore[type-var]
        try:
            for text in _texts(batches):
                yield text[:left]
                left -= len(text)
                if left <= 0:
                    return
        except (PremaskError, OSError):
            return


def _texts(batches: Iterator[pa.RecordBatch]) -> Iterator[str]:
    for batch in batches:
        for text in batch.column("text"):
            yield text.as_py()

"""Guards of the annotate stage: time and memory on what spaCy cannot take as it is."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import spacy
from premask.schemas.job import Annotate
from premask.stages.annotate import Annotator

from tests.stages.annotating import ALL, OBAMA, annotate, saved, sentences, spans


@pytest.fixture(scope="module")
def embedded() -> Annotator:
    return Annotator(Annotate(tracks=ALL))


@pytest.mark.parametrize("run", ["(" * 20_000, "😀" * 20_000, "!" * 20_000])
def test_unspaced_runs_take_no_time_and_are_sentences_of_their_own(
    embedded: Annotator, run: str
) -> None:
    started = time.process_time()
    result = annotate(embedded, f"{OBAMA} {run} Angela Merkel visited Paris.")
    assert time.process_time() - started < 5
    assert spans(result, "entity")[-2:] == ["Angela Merkel", "Paris"]
    assert sentences(result)[-2:] == [f"{run} ", "Angela Merkel visited Paris."]
    assert run not in spans(result, "annotated_word")


MEMORY = """
import resource, sys
from premask.schemas.job import Annotate
from premask.schemas.unit import Ledger
from premask.stages.annotate import Annotator
from tests.stages.annotating import OBAMA, documents

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

annotator = Annotator(Annotate(pipeline=sys.argv[1], tracks=("sentences",)))
def run(texts):
    next(annotator([documents(texts)], Ledger(unit="u")))
"""


def peak_growth(script: str, pipeline: str) -> int:
    """MiB by which the script, a process of its own, says that its memory has grown."""
    root = Path(__file__).parents[2]
    run = [sys.executable, "-c", MEMORY + script, pipeline]
    done = subprocess.run(run, cwd=root, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.slow
def test_a_document_of_a_million_characters_takes_little_memory() -> None:
    script = """
run([OBAMA * 100])
before = peak()
run([f"{OBAMA} " * 14_500])
print(peak() - before)
"""
    assert peak_growth(script, "premask/en") < 400  # 2,900 MiB in one piece


def test_memory_is_flat_over_documents_with_ever_new_words(tmp_path: Path) -> None:
    script = """
for batch in range(9):
    if batch == 4:
        before = peak()
    run([" ".join(f"w{batch}x{n}y{i}" for i in range(40)) for n in range(512)])
print(peak() - before)
"""
    # 102,000 new words take 47 MiB if spaCy keeps them.
    assert peak_growth(script, saved(spacy.blank("en"), tmp_path)) < 24

"""Finds the documents of a job that repeat earlier ones in other units, before any is built.

A pass over the input on the job's engine: every unit is read, stripped and cleaned, and leaves
the hashes of its documents in the journal; see `premask.stages.duplicates`. The driver compares
them and writes for each unit the numbers of the documents to drop. It never holds a text. What
is in the journal is not made again after a kill. Costs reading the input once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from premask.pipeline import session
from premask.pipeline.engine import Engine, Result, Task, Tell
from premask.pipeline.journal import begin
from premask.pipeline.output import JOURNAL, Output
from premask.pipeline.plan import Plan
from premask.pipeline.progress import Reporter
from premask.pipeline.tally import Tally, plural
from premask.schemas.job import Job
from premask.schemas.unit import Unit
from premask.stages.duplicates import (
    NO_NUMBERS,
    Hashes,
    Numbers,
    hash_unit,
    hashes_bytes,
    numbers_bytes,
    read_hashes,
    read_numbers,
    repeats,
)

_FOLDER = f"{JOURNAL}/duplicates"
_DONE = f"{_FOLDER}/done"


@dataclass(frozen=True, slots=True, kw_only=True)
class HashWork:
    """Hashes the documents of units of `job` into the journal of `output`."""

    job: Job
    output: Output

    def open(self) -> Callable[[tuple[int, Unit], Tell], Result]:
        return partial(_hash_unit, self)


def find_repeats(plan: Plan, output: Output, engine: Engine, reporter: Reporter) -> bool:
    """Leaves in the journal what `repeats_of` reads; says whether the job asks for that.

    One unit alone needs no pass: its repeats are found while it is built.

    Raises:
        UnitError: units could not be read; a rerun goes on.
    """
    if not plan.job.clean.drop_duplicates or len(plan.units) < 2:
        return False
    complete = begin(output, plan.header)
    if len(complete) < len(plan.units) and output.size(_DONE) < 0:
        num_distinct = _hash_all(plan, output, engine, reporter)
        found = repeats(len(plan.units), num_distinct, partial(_read, output))
        for index, numbers in found:
            output.write(_repeats_name(index), numbers_bytes(numbers))
        output.write(_DONE, b"")
    return True


def repeats_of(output: Output, index: int) -> Numbers:
    """The numbers of the documents that a unit must drop."""
    name = _repeats_name(index)
    return read_numbers(output.read(name)) if output.size(name) >= 0 else NO_NUMBERS


def _hash_all(plan: Plan, output: Output, engine: Engine, reporter: Reporter) -> int:
    """Hashes the units whose hashes are not in the journal; the distinct hashes of all."""
    units = plan.units
    present = set(output.names(_FOLDER))
    todo = [
        Task(index=index, value=(index, unit))
        for index, unit in enumerate(units)
        if _hashes_name(index).rsplit("/", 1)[-1] not in present
    ]
    tally = Tally(
        num_units=len(todo), num_bytes=sum(units[task.index].num_bytes for task in todo)
    )
    reporter.tell("start", tally, f"duplicates: {plural(len(todo), 'unit')} to compare")
    session.run_tasks(
        output,
        HashWork(job=plan.job, output=output),
        todo,
        engine,
        reporter,
        tally,
        names=lambda index: units[index].label,
        num_bytes=lambda index: units[index].num_bytes,
    )
    return sum(len(_read(output, index).high_H) for index in range(len(units)))


def _hash_unit(work: HashWork, task: tuple[int, Unit], tell: Tell) -> Result:
    del tell  # a fraction of the time that the unit's build will take
    index, unit = task
    hashes, num_documents = hash_unit(work.job, unit)
    work.output.write(_hashes_name(index), hashes_bytes(hashes))
    return {"documents": num_documents}


def _read(output: Output, index: int) -> Hashes:
    """The hashes of a unit; of a local journal mapped, not read."""
    name = _hashes_name(index)
    if output.is_local:
        with pa.memory_map(output.path(name)) as file:
            return read_hashes(file.read_buffer())
    return read_hashes(pa.py_buffer(output.read(name)))


def _hashes_name(index: int) -> str:
    return f"{_FOLDER}/{index:05d}.hashes.arrow"


def _repeats_name(index: int) -> str:
    return f"{_FOLDER}/{index:05d}.repeats.arrow"

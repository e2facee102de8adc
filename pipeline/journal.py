"""The journal of a shard set under construction: what is done, and for which job.

::

    journal/plan.json            the header: job, inputs, number of units
    journal/00007.rejected.jsonl, 00007.counts.arrow, 00007.documents.arrow, 00007.json
                                 one unit, in this order
    journal/tmp/                 files being written

A unit is complete when its ``.json`` is there, carries the header's fingerprint, and its shard
has the size that the record says. Everything is written by `Output.writing`, so a file is
there in whole or not at all, and a kill at any point loses units in flight and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from premask._errors import FormatError, RequestError
from premask._format import SHARDS_DIRECTORY
from premask.manifest import ShardEntry
from premask.pipeline.fingerprint import describe_differences, fingerprint
from premask.pipeline.output import JOURNAL, TEMPORARY, Output

PLAN = f"{JOURNAL}/plan.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a shard set is made from; two builds with equal headers write equal bytes.

    Attributes:
        kind: ``build`` or ``freeze``.
        job: everything of the job that shapes the output.
        inputs: fingerprint of every file that the job reads, by name.
        num_units: shards that there will be.
    """

    kind: str
    job: Mapping[str, Any]
    inputs: Mapping[str, str]
    num_units: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(asdict(self))

    def to_bytes(self) -> bytes:
        value = asdict(self)
        return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    def refuse_unless_equal(self, other: Header, *, location: str) -> None:
        """Refuses to go on with `other`, the header found at `location`, if it differs.

        Raises:
            RequestError: naming the field of the job or the input file that differs.
        """
        what = ""
        if self.kind != other.kind:
            what = f"a {other.kind} was begun here, this is a {self.kind}"
        elif fields := describe_differences(other.job, self.job):
            what = f"the job has changed since: {fields}"
        elif files := changed_files(other.inputs, self.inputs):
            what = f"the input has changed since: {files}"
        elif self.num_units != other.num_units:
            what = f"the plan has changed since: {other.num_units} units, now {self.num_units}"
        if what:
            raise RequestError(
                f"{what}; undo the change, choose another output, or start over with --restart",
                location=location,
            )


def changed_files(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Names of files that were changed, added or removed, in words; at most five."""
    told = [f"{name} is gone" for name in sorted(old.keys() - new.keys())]
    told += [f"{name} is new" for name in sorted(new.keys() - old.keys())]
    told += [
        f"{name} is not what it was"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]
    rest = f" and {len(told) - 5} more" if len(told) > 5 else ""
    return ", ".join(told[:5]) + rest


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRecord:
    """A complete unit: its shard and what became of its documents. A few hundred bytes.

    Attributes:
        index: the unit's place in the plan.
        fingerprint: of the header that it belongs to.
        shard: None where no row came of the unit.
    """

    index: int
    fingerprint: str
    shard: ShardEntry | None
    documents_read: int = 0
    documents_rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, data: bytes) -> UnitRecord:
        """Parses what `to_bytes` wrote; `ValueError` or `TypeError` for anything else."""
        value = json.loads(data)
        shard = value["shard"] and ShardEntry(**value["shard"])
        return cls(**{**value, "shard": shard})

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), sort_keys=True, ensure_ascii=False) + "\n").encode()


def record_name(index: int) -> str:
    return f"{JOURNAL}/{index:05d}.json"


def counts_name(index: int) -> str:
    return f"{JOURNAL}/{index:05d}.counts.arrow"


def documents_name(index: int) -> str:
    return f"{JOURNAL}/{index:05d}.documents.arrow"


def rejected_name(index: int) -> str:
    return f"{JOURNAL}/{index:05d}.rejected.jsonl"


def read_header(output: Output) -> Header | None:
    """The header of the build that was begun in `output`; None where none was.

    Raises:
        FormatError: the file is damaged.
    """
    if output.size(PLAN) < 0:
        return None
    try:
        return Header(**json.loads(output.read(PLAN)))
    except (ValueError, TypeError) as error:
        raise FormatError(
            f"the journal is damaged: {error}; start over with --restart",
            location=output.path(PLAN),
        ) from error


def begin(output: Output, header: Header) -> dict[int, UnitRecord]:
    """Opens the journal for `header` and says which units are complete.

    Temporary files of an earlier, killed run are removed; so is the journal of another job that
    completed no unit, since nothing is lost with it.

    Raises:
        RequestError: another job was begun here.
    """
    output.remove(TEMPORARY)
    found = read_header(output)
    if found is None:
        output.write(PLAN, header.to_bytes())
        return {}
    present = set(output.names(JOURNAL))
    if found != header and not any(map(_is_record, present)):
        output.remove(SHARDS_DIRECTORY)  # no shard without a record counts
        output.remove(JOURNAL)
        output.write(PLAN, header.to_bytes())
        return {}
    header.refuse_unless_equal(found, location=output.root)
    records = (
        read_record(output, index, header.fingerprint)
        for index in range(header.num_units)
        if f"{index:05d}.json" in present
    )
    return {record.index: record for record in records if record is not None}


def _is_record(name: str) -> bool:
    return name.endswith(".json") and name.removesuffix(".json").isdigit()


def read_record(output: Output, index: int, expected: str) -> UnitRecord | None:
    """The record of a unit that is complete for the header `expected`, else None."""
    try:
        record = UnitRecord.from_bytes(output.read(record_name(index)))
    except (FormatError, ValueError, TypeError, KeyError):
        return None
    if record.index != index or record.fingerprint != expected:
        return None
    shard = record.shard
    whole = shard is None or output.size(shard.file) == shard.num_bytes
    return record if whole else None

"""Targets: what users write themselves: the job file, ``--set``, the policy file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from premask._errors import PremaskError
from premask.masking.apply import apply_policy
from premask.masking.policy import Policy, policy
from premask.masking.presets import PRESETS
from premask.pipeline.commands.choose import choose_policy
from premask.pipeline.freeze import static_policy
from premask.pipeline.load import load_job, validate
from premask.shards import open_shards

from tests.fuzz.target import Target, option
from tests.loader.shardset import random_rows, write_set

JOBS: Sequence[str] = (
    "sources: [{path: a}]\noutput: b\ntokenizer: c\n",
    "sources:\n- path: a\n  format: jsonl\n  text_field: b\n  namespaces: [0, 1]\n"
    "output: b\ntokenizer: c\nseed: 7\nunit_bytes: 32MiB\nclean: {unicode: NFC}\n"
    "annotate: {tracks: [sentences, sentence_ranks], gpus: 0.5}\n"
    "rows: {max_length: 128, arrangement: sentences}\n"
    "collocations: {min_count: 3}\nshards: {compression: zstd, batch_bytes: 1e6}\n",
    "sources: [{path: a, target_field: t}]\noutput: b\ntokenizer: c\n"
    "rows: {arrangement: pairs}\nmode: static\n"
    "policy: {preset: random, rate: 0.3}\nepochs: 3\nworkers: 2\nretries: 0\n",
)
CHANGES: Sequence[str] = (
    "rows.max_length=128\0sources.0.path=b\0seed=1",
    "sources.1.path=c\0clean.unicode=NFC\0annotate={}",
    "policy.rate=0.2\0mode=static\0shards.batch_bytes=1 MB",
)
YAML_WORDS = (
    *(b"&a [*a, *a]", b"*a", b"<<: *a", b"!!timestamp ", b"2001-99-99", b"!!int ", b"!!float "),
    *(
        b"? [a]\n: b",
        b"{[a]: b}",
        b"---\n",
        b"!!python/object:os.system",
        b"!!binary ",
        b"!!set ",
    ),
    *(
        b"\t",
        b"\0",
        b"[" * 99,
        b"{a: " * 99,
        b"9" * 99,
        b"1e999",
        b".nan",
        b".inf",
        b"0o8",
        b"~",
    ),
)
POLICY_WORDS = (
    *(
        b'"preset": "',
        b'"operation": "',
        b'"rate": ',
        b"1e999",
        b"-1",
        b"NaN",
        b"null",
        b"[[[[",
    ),
    *(b"65536", b"4294967296", b'"policies": [', b'"weights": [', b"true", b'"law": ', b"{}"),
)


def _job(data: bytes, fixed: Path, scratch: Path) -> None:
    """The first NUL ends the file; what follows are changes, each with a NUL behind it."""
    del fixed
    content, _, rest = data.partition(b"\0")
    path = scratch / "job.yaml"
    path.write_bytes(content)
    changes = [part.decode("utf-8", "replace") for part in rest.split(b"\0")] if rest else []
    job = load_job(path, changes)
    again = yaml.safe_load(yaml.safe_dump(job.model_dump(mode="json")))
    assert validate(again) == job
    static_policy(job)


def _policy_set(fixed: Path) -> list[bytes]:
    write_set(fixed / "set", random_rows([3, 9, 20, 64], seed=3))
    presets = [json.dumps({"preset": name}) for name in PRESETS]
    whole = [json.dumps(policy(name).to_dict()) for name in PRESETS]
    return [bytes([k]) + text.encode() for k in (0, 1) for text in (*presets, *whole)]


def _policy(data: bytes, fixed: Path, scratch: Path) -> None:
    """A file that holds a policy; what it means must be told or refused, then applied."""
    path = scratch / option(data, 0, ("policy.json", "policy.yaml"))
    path.write_bytes(data[1:])
    chosen = policy(path)
    again = policy(chosen.to_dict())
    assert (again.word, again.parameters) == (chosen.word, chosen.parameters)
    _apply(chosen, fixed)


def _apply(chosen: Policy, fixed: Path) -> None:
    shards = open_shards(fixed / "set")
    step = 0 if chosen.depends_on_step else None
    masked = apply_policy(chosen, shards.rows(slice(None)), epoch=1, step=step)
    for array in masked.values():
        assert np.asarray(array).dtype != object


def _policy_changes(data: bytes, fixed: Path, scratch: Path) -> None:
    """A preset with ``--set`` changes, each with a NUL behind it."""
    del scratch
    name = option(data, 0, tuple(PRESETS))
    changes = [part.decode("utf-8", "replace") for part in data[1:].split(b"\0") if part]
    _apply(choose_policy(name, changes), fixed)


def _change_seeds(fixed: Path) -> list[bytes]:
    _policy_set(fixed)
    seeds = []
    for number, name in enumerate(PRESETS):
        parameters = policy(name).parameters.items()
        changes = [f"{key}={json.dumps(value)}" for key, value in parameters]
        seeds.append(bytes([number]) + "\0".join(changes).encode())
    return seeds


def _job_seeds(fixed: Path) -> list[bytes]:
    del fixed
    for text in JOBS:
        try:
            validate(yaml.safe_load(text))
        except PremaskError as error:
            raise AssertionError(f"a seed is refused: {error}") from error
    return [f"{job}\0{changes}".encode() for job in JOBS for changes in ("", *CHANGES)]


TARGETS = {
    "job": Target(prepare=_job_seeds, run=_job, words=YAML_WORDS),
    "policy": Target(
        prepare=_policy_set, run=_policy, words=POLICY_WORDS + YAML_WORDS, options=1
    ),
    "policy-set": Target(
        prepare=_change_seeds, run=_policy_changes, words=YAML_WORDS + POLICY_WORDS, options=1
    ),
}

"""Writes ``docs/job.md`` from the models of the job file. Deterministic; takes a second.

::

    python docs/make_job.py
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from premask.schemas.job import ANNOTATE_PLACEMENT, PLACEMENT, STATIC, Job, Size
from premask.schemas.model import Model
from pydantic.fields import FieldInfo

PAGE = Path(__file__).resolve().parent / "job.md"
_HEAD = """\
# The job file

`premask build JOB.yaml` runs a job, and this is every key that one may hold. Each can be given
on the command line as well, under the name in the tables: `--set rows.max_length=256`,
`--set sources.0.format=text`, `--set clean.drop_duplicates=true`. An unknown key, a wrong value
or two keys that do not go together are refused, by name, before any work starts.

```yaml
sources:
  - path: enwiki-latest-pages-articles-multistream.xml.bz2
  - path: books/*.txt
    strip_gutenberg: true
output: shards
tokenizer: bert-base-uncased
rows: {max_length: 512}
annotate: {pipeline: premask/en, tracks: [sentences, entities]}
```

Sizes take a unit (`32MiB`, `1GB`). Paths of inputs and of the output may be fsspec URLs
(`s3://`, `gs://`, ...).

Keys marked *placement* say where and how a job runs. They change no byte of the output, so a
run may go on with other values. A changed value of any other key makes another shard set:
`premask build` names it and refuses to go on, and `--restart` starts over.
"""
_SECTIONS = {
    "": ("The job", ""),
    "sources.0.": ("Sources", "A list; each entry is one input."),
    "clean.": ("Clean", ""),
    "split.": (
        "Split",
        "Left out, the set gets all documents. `split: {heldout: 0.01, part: train}` keeps "
        "99 % of them, and the same job with `part: heldout` and another output the rest. The "
        "side of a document follows from its cleaned text (of a pair from the text without the "
        "target): it stays the same when the corpus grows, is renamed or is cut into other "
        "units, and equal documents stand on one side. Documents of the other part are counted "
        "as `other_part` and not listed as rejected; what could not be read is listed in both.",
    ),
    "annotate.": (
        "Annotate",
        "Left out, nothing is annotated and spaCy is never loaded; `annotate: {}` takes the "
        "defaults. See [annotation](annotation.md).",
    ),
    "rows.": ("Rows", ""),
    "rows.fill_in_middle.": (
        "Fill in the middle",
        "Left out, documents stay as they are; `rows.fill_in_middle: {}` takes the defaults.",
    ),
    "collocations.": (
        "Collocations",
        "The table that the policy `pmi` needs. Left out, none is counted; `collocations: {}` "
        "takes the defaults.",
    ),
    "shards.": ("Shards", ""),
}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for prefix, model in _models("", Job):
        title, note = _SECTIONS[prefix]
        parts += [f"## {title}\n", *([f"{note}\n"] if note else []), *_table(prefix, model), ""]
    return "\n".join(parts)


def _models(prefix: str, model: type[Model]) -> Iterator[tuple[str, type[Model]]]:
    """`model` and those inside it, each with the dotted prefix of its keys."""
    yield prefix, model
    for name, field in model.model_fields.items():
        for inner in _inner_models(field.annotation):
            index = "0." if get_origin(field.annotation) is tuple else ""
            yield from _models(f"{prefix}{name}.{index}", inner)


def _inner_models(kind: Any) -> list[type[Model]]:
    if isinstance(kind, type) and issubclass(kind, Model):
        return [kind]
    return [model for argument in get_args(kind) for model in _inner_models(argument)]


def _table(prefix: str, model: type[Model]) -> Iterator[str]:
    yield "| key | value | default | what |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        if _inner_models(field.annotation):
            continue
        marks = " *placement*" if _is_placement(prefix, name) else ""
        marks += " *static sets*" if not prefix and name in STATIC else ""
        told = (field.description or "").replace("|", "\\|")
        yield f"| `{prefix}{name}` | {_value(field)} | {_default(field)} | {told}{marks} |"


def _is_placement(prefix: str, name: str) -> bool:
    keys = {"": PLACEMENT, "annotate.": ANNOTATE_PLACEMENT}
    return name in keys.get(prefix, ())


def _value(field: FieldInfo) -> str:
    if _is_size(field):
        return "size"
    bounds = [text for mark in field.metadata if (text := _bound(mark))]
    return ", ".join([_kind(field.annotation), *bounds])


def _is_size(field: FieldInfo) -> bool:
    parser = get_args(Size)[1]
    return parser in field.metadata


def _bound(mark: object) -> str:
    for kind, sign in (
        (annotated_types.Ge, "≥"),
        (annotated_types.Gt, ">"),
        (annotated_types.Le, "≤"),
        (annotated_types.Lt, "<"),
    ):
        if isinstance(mark, kind):
            limit = getattr(mark, kind.__name__.lower())
            return f"{sign} {'2^64' if limit == 2**64 else limit}"
    return ""


def _kind(annotation: Any) -> str:
    """A type in the words of a reader of YAML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in arguments if part is not type(None))
    if origin is tuple:
        many = "list:" if arguments[-1] is Ellipsis else f"list of {len(arguments)}:"
        return f"{many} {_kind(arguments[0])}"
    names = {int: "whole number", float: "number", str: "text", bool: "`true`, `false`"}
    return names.get(annotation, "mapping")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=False)
    if value is None or value == ():
        return "–"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if _is_size(field):
        return f"`{value >> 20}MiB`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The job: what `premask build` does, as one validated value.

Unknown keys, wrong values and illegal combinations are refused here, with the path of the key,
before any work starts. A rule between two keys stands at the later of the two, so that the
refusal names a key and not its parent.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from premask.schemas.model import Model
from premask.schemas.rows import OF_SENTENCES
from premask.schemas.rows import Rows as Rows
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9}

# Keys that say how and where a job runs; none of them changes a byte of the shards.
PLACEMENT = (
    *("output", "engine", "workers", "ray_address", "unit_timeout", "retries"),
    "max_unknown",
)
ANNOTATE_PLACEMENT = ("workers", "gpus")
# Keys of the frozen copy alone; the dynamic set is the same without them.
STATIC = ("mode", "policy", "epochs")


def parse_size(value: Any) -> Any:
    """Bytes of ``"32MiB"``, ``"1 GB"`` or a plain number."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(digits) :].strip()
    try:
        return int(float(digits) * _UNITS[unit])
    except (KeyError, ValueError):
        raise ValueError(f"expected a size such as 32MiB, got {value!r}") from None


def _column_name(value: Any) -> Any:
    """YAML reads the number of a column as a number."""
    return str(value) if type(value) is int else value


Column = Annotated[str, BeforeValidator(_column_name)]
Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Format = Literal[
    "auto", "text", "jsonl", "tsv", "parquet", "wikiextractor", "mediawiki", "datasets"
]


class Source(Model):
    """One input: a file, a directory (searched recursively), a glob or an fsspec URL."""

    path: str = Field(description="file, directory, glob, fsspec URL, or hub name (datasets)")
    format: Format = Field("auto", description="auto: recognised from name and content")
    text_field: Column = Field(
        "text",
        description="jsonl, tsv, parquet, datasets: the text's column; in a tsv without a "
        "header its number, from 1",
    )
    target_field: Column | None = Field(
        None, description="rows.arrangement: pairs: the target's column, beside the text's"
    )
    id_field: Column | None = Field(
        None,
        description="the id's column; default: 'id' if there is one",
    )
    document: Literal["file", "paragraph", "line"] = Field(
        "file", description="text: what one document is; paragraphs are split by blank lines"
    )
    encoding: str = Field(
        "utf-8", description="text, jsonl, wikiextractor: the files' encoding"
    )
    strip_gutenberg: bool = Field(
        False, description="text: drop Project Gutenberg's header and footer"
    )
    namespaces: tuple[int, ...] = Field((0,), description="mediawiki: namespaces that are kept")
    keep_redirects: bool = Field(False, description="mediawiki: keep redirect pages")
    name: str | None = Field(None, description="datasets: configuration name")
    split: str = Field("train", description="datasets: split")
    streaming: bool = Field(True, description="datasets: stream from the hub")


class Clean(Model):
    """Text normalisation and minimum lengths."""

    unicode: Literal["none", "NFC", "NFKC", "ftfy"] = Field(
        "none", description="normal form; ftfy: mended encodings, then NFC"
    )
    control_characters: Literal["keep", "drop"] = Field(
        "drop", description="control characters other than tab and newline"
    )
    min_characters: int = Field(1, ge=0, description="shorter documents are rejected")
    min_words: int = Field(
        0, ge=0, description="documents of fewer words, by white space, are rejected"
    )
    drop_stubs: bool = Field(
        False, description="reject documents of one line that ends without a full stop: titles"
    )
    drop_duplicates: bool = Field(
        False, description="drop exact repeats of a document, in whatever file they are"
    )


class Split(Model):
    """One part of the corpus, told by a hash of each document's cleaned text."""

    heldout: float = Field(gt=0, lt=1, description="share of the documents that is held out")
    part: Literal["train", "heldout"] = Field(
        description="the documents that this set gets; a second job makes the other part"
    )


class Annotate(Model):
    """spaCy annotation. Left out of the job: nothing is annotated and spaCy is never loaded."""

    pipeline: str = Field(
        "premask/en",
        description="spaCy pipeline: name, path, or premask/en; premask/rules finds sentences "
        "by their punctuation, without spaCy",
    )
    tracks: tuple[
        Literal[
            "sentences", "entities", "phrases", "pos", "depth", "salience", "sentence_ranks"
        ],
        ...,
    ] = Field(("sentences", "entities", "pos", "phrases"), description="what to annotate")
    gazetteers: tuple[str, ...] = Field(
        (), description="files of entity names (txt, tsv, jsonl)"
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="ray: processes that annotate, beside the workers that do the rest; "
        "default: each worker annotates its own units",
    )
    gpus: float = Field(
        0, ge=0, description="GPUs per process that annotates; a fraction shares one"
    )
    batch_words: int = Field(4000, ge=100, description="words per spaCy batch")

    @field_validator("tracks")
    @classmethod
    def _ranked_sentences_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "sentence_ranks" in value and "sentences" not in value:
            raise ValueError("sentence_ranks needs the track sentences; add it")
        return value


class Shards(Model):
    """How shards are written."""

    compression: Literal["none", "lz4", "zstd"] = Field(
        "none", description="none is memory-mapped without a copy; zstd is for transport"
    )
    batch_bytes: Size = Field(1 << 20, description="size of a record batch")


class Collocations(Model):
    """The table of collocations that the policy pmi needs; as in Levine et al. 2021."""

    min_count: int = Field(10, ge=2, description="rarer n-grams are no collocations")
    max_words: int = Field(5, ge=2, le=5, description="words of the longest")
    max_entries: int = Field(800_000, ge=8, description="entries of all lengths together")


class Job(Model):
    """A whole job. `premask build JOB.yaml` loads one; every key may be given with --set."""

    sources: tuple[Source, ...] = Field(min_length=1)
    output: str = Field(description="directory of the shard set: a path or an fsspec URL")
    tokenizer: str = Field(
        description="tokenizer.json, vocab.txt, directory, .model or hub name"
    )
    seed: int = Field(12345, ge=0, lt=2**64, description="seed of every row's mask seed")
    unit_bytes: Size = Field(
        32 << 20,
        description="input bytes per unit, hence per shard; small files share one",
    )
    clean: Clean = Field(default_factory=Clean)
    split: Split | None = Field(
        None, description="a part of the documents; left out, all of them"
    )
    annotate: Annotate | None = None
    rows: Rows = Field(default_factory=Rows)
    collocations: Collocations | None = Field(
        None, description="count n-grams for the policy pmi; {}: with the defaults"
    )
    shards: Shards = Field(default_factory=Shards)
    mode: Literal["dynamic", "static"] = Field("dynamic", description="static: freeze as well")
    policy: str | dict[str, Any] | None = Field(
        None, description="static: the policy to freeze"
    )
    epochs: int = Field(1, ge=1, le=65536, description="static: masked copies of every row")
    # How the job runs; none of it changes a byte of the output.
    engine: Literal["local", "ray"] = Field(
        "local", description="local: in this process; ray: on all cores, or on a cluster"
    )
    workers: int | None = Field(
        None, ge=1, description="ray: units in flight; default: all cores"
    )
    ray_address: str | None = Field(
        None, description="ray: a running cluster; default: RAY_ADDRESS, else this machine"
    )
    unit_timeout: float | None = Field(
        None,
        gt=0,
        description="seconds a unit may take before its process is killed; default: ray 6 "
        "hours, local no limit (with one, units run in a child process)",
    )
    retries: int = Field(2, ge=0, description="further tries of a failed unit")
    max_unknown: float = Field(
        0.5,
        gt=0,
        le=1,
        description="share of unknown tokens, in a sample of the input, above which the "
        "tokenizer is refused; 1: never",
    )

    @field_validator("rows")
    @classmethod
    def _rows_have_what_they_are_made_of(cls, value: Rows, info: ValidationInfo) -> Rows:
        annotate: Annotate | None = info.data.get("annotate")
        tracks = annotate.tracks if annotate else ()
        if value.arrangement in OF_SENTENCES and "sentences" not in tracks:
            raise ValueError(
                f"arrangement {value.arrangement} needs to know where sentences begin; add "
                "annotate: {pipeline: premask/rules, tracks: [sentences]}, or the track "
                "sentences of another pipeline"
            )
        for index, source in enumerate(info.data.get("sources", ())):
            if (value.arrangement == "pairs") != (source.target_field is not None):
                raise ValueError(
                    f"arrangement {value.arrangement} with sources.{index}.target_field "
                    f"{source.target_field!r}: pairs need the target_field of every source, "
                    "and no other arrangement takes one"
                )
        return value

    @field_validator("policy")
    @classmethod
    def _policy_belongs_to_static(cls, value: Any, info: ValidationInfo) -> Any:
        mode = info.data.get("mode")
        if mode == "static" and value is None:
            raise ValueError("mode: static needs a policy; see premask policies")
        if mode == "dynamic" and value is not None:
            raise ValueError(
                f"a policy belongs to mode: static, got {value!r} with mode: dynamic; "
                "leave it out, the loader chooses the policy"
            )
        return value

    @field_validator("epochs")
    @classmethod
    def _epochs_belong_to_static(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("mode") == "dynamic" and value != 1:
            raise ValueError(
                f"epochs belong to mode: static, got {value} with mode: dynamic; leave them out"
            )
        return value

    def shaping(self) -> dict[str, Any]:
        """The part of the job that shapes the dynamic shard set, as plain JSON values."""
        value: dict[str, Any] = self.model_dump(mode="json", exclude={*PLACEMENT, *STATIC})
        if value["annotate"] is not None:
            for key in ANNOTATE_PLACEMENT:
                del value["annotate"][key]
        if value["split"] is None:
            del value["split"]  # sets made before there was a split keep their fingerprint
        return value

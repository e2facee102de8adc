"""The job: what `premask build` does, as one validated value.

Unknown keys, wrong values and illegal combinations are refused here, with the path of the key,
before any work starts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_UNITS |= {"kb": 10**3, "mb": 10**6, "gb": 10**9}


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


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Format = Literal["auto", "text", "jsonl", "parquet", "wikiextractor", "mediawiki", "datasets"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Source(_Model):
    """One input: a file, a directory (searched recursively), a glob or an fsspec URL."""

    path: str = Field(description="file, directory, glob, fsspec URL, or hub name (datasets)")
    format: Format = Field("auto", description="auto: recognised from name and content")
    text_field: str = Field("text", description="jsonl, parquet, datasets: the text's column")
    id_field: str | None = Field(
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


class Clean(_Model):
    """Text normalisation and minimum lengths."""

    unicode: Literal["none", "NFC", "NFKC"] = Field("none", description="normal form")
    control_characters: Literal["keep", "drop"] = Field(
        "drop", description="control characters other than tab and newline"
    )
    min_characters: int = Field(1, ge=0, description="shorter documents are rejected")
    drop_duplicates: bool = Field(False, description="drop exact repeats of a document")


class Annotate(_Model):
    """spaCy annotation. Left out of the job: nothing is annotated and spaCy is never loaded."""

    pipeline: str = Field("premask/en", description="spaCy pipeline: name, path, or premask/en")
    tracks: tuple[
        Literal["sentences", "entities", "phrases", "pos", "depth", "salience"], ...
    ] = Field(("sentences", "entities", "pos", "phrases"), description="what to annotate")
    gazetteers: tuple[str, ...] = Field(
        (), description="files of entity names (txt, tsv, jsonl)"
    )
    workers: int | None = Field(None, ge=1, description="an own pool of this size (ray)")
    gpus: float = Field(0, ge=0, description="GPUs per annotation worker")
    batch_words: int = Field(4000, ge=100, description="words per spaCy batch")


class Rows(_Model):
    """How token streams become rows."""

    arrangement: Literal["full", "documents"] = Field(
        "full",
        description="full: documents concatenated; documents: windows of one document",
    )
    max_length: int = Field(
        512, ge=8, le=65536, description="tokens per row, specials included"
    )
    min_length: int = Field(
        1, ge=1, description="rows with fewer text tokens are dropped, and counted"
    )
    stride: int = Field(0, ge=0, description="documents: tokens that two windows share")
    short_row_probability: float = Field(
        0.0, ge=0, le=1, description="share of rows cut at a random shorter length, as in BERT"
    )

    @model_validator(mode="after")
    def _legal(self) -> Rows:
        if self.stride and self.arrangement != "documents":
            raise ValueError("stride needs arrangement: documents")
        if self.stride >= self.max_length - 2:
            raise ValueError(f"stride must be below max_length - 2, got {self.stride}")
        if self.min_length > self.max_length - 2:
            raise ValueError(
                f"min_length must be at most max_length - 2, got {self.min_length}"
            )
        return self


class Shards(_Model):
    """How shards are written."""

    compression: Literal["none", "lz4", "zstd"] = Field(
        "none", description="none is memory-mapped without a copy; zstd is for transport"
    )
    batch_bytes: Size = Field(1 << 20, description="size of a record batch")


class Job(_Model):
    """A whole job. `premask build JOB.yaml` loads one; every key may be given with --set."""

    sources: tuple[Source, ...] = Field(min_length=1)
    output: str = Field(description="directory of the shard set: a path or an fsspec URL")
    tokenizer: str = Field(
        description="tokenizer.json, vocab.txt, directory, .model or hub name"
    )
    seed: int = Field(12345, ge=0, lt=2**64, description="seed of every row's mask seed")
    unit_bytes: Size = Field(32 << 20, description="input bytes per unit, hence per shard")
    clean: Clean = Field(default_factory=Clean)
    annotate: Annotate | None = None
    rows: Rows = Field(default_factory=Rows)
    shards: Shards = Field(default_factory=Shards)
    mode: Literal["dynamic", "static"] = Field("dynamic", description="static: freeze as well")
    policy: str | dict[str, Any] | None = Field(
        None, description="static: the policy to freeze"
    )
    epochs: int = Field(1, ge=1, description="static: masked copies of every row")
    # How the job runs; none of it changes a byte of the output.
    engine: Literal["local", "ray"] = "local"
    workers: int | None = Field(
        None, ge=1, description="ray: units in flight; default: all cores"
    )
    unit_timeout: float | None = Field(None, gt=0, description="ray: seconds a unit may take")
    retries: int = Field(2, ge=0, description="ray: further tries of a failed unit")

    @model_validator(mode="after")
    def _legal(self) -> Job:
        if self.mode == "static" and self.policy is None:
            raise ValueError("mode: static needs a policy")
        if self.mode == "dynamic" and (self.policy is not None or self.epochs != 1):
            raise ValueError("policy and epochs belong to mode: static")
        return self

"""Finds and loads spaCy pipelines: the embedded one, an installed package, or a folder.

What goes into the manifest (name, version, hash, labels) is read from files, without spaCy.
Loading a pipeline takes about a second; components that no track needs are left out.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from premask._errors import RequestError

EMBEDDED = "premask/en"
_EMBEDDED_FOLDER = Path(__file__).parent / "models" / "en"
_LOCATION = "annotate.pipeline"

# spaCy's component factories, by what they are for. Others (a user's own) are always kept.
_POS = {"tagger", "morphologizer"}
_ENTITIES = {"ner", "beam_ner", "entity_ruler"}
_PARSERS = {"parser", "beam_parser"}
_SENTENCES = {"senter", "sentencizer"}
_ENCODERS = {"tok2vec", "transformer", "curated_transformer"}
_UNUSED = {
    *("lemmatizer", "trainable_lemmatizer", "entity_linker", "span_ruler", "span_finder"),
    *("spancat", "spancat_singlelabel", "textcat", "textcat_multilabel", "doc_cleaner"),
}
_KNOWN = {"attribute_ruler"} | _POS | _ENTITIES | _PARSERS | _SENTENCES | _ENCODERS | _UNUSED
# What each track needs one of; phrases may come from a parser or from parts of speech.
_NEEDS = {
    "pos": _POS,
    "phrases": _POS,
    "salience": _POS,
    "depth": _PARSERS,
    "entities": _ENTITIES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFiles:
    """Where a pipeline is, and what its ``meta.json`` and ``config.cfg`` say.

    Attributes:
        load_name: what `spacy.load` takes: a package's name or a folder.
        factories: each component's factory, by name, in the order of the pipeline.
        encoders: names of the encoders that each component listens to, ``*`` for any.
    """

    load_name: str | Path
    folder: Path
    meta: Mapping[str, Any]
    factories: Mapping[str, str]
    encoders: Mapping[str, Sequence[str]]

    @property
    def name(self) -> str:
        return f"{self.meta['lang']}_{self.meta['name']}"

    @property
    def entity_labels(self) -> tuple[str, ...]:
        """Labels of the components that set entities, sorted."""
        labels: Mapping[str, list[str]] = self.meta.get("labels", {})
        parts = [labels.get(x, []) for x, f in self.factories.items() if f in _ENTITIES]
        return tuple(sorted({label for part in parts for label in part}))

    def info(self) -> dict[str, Any]:
        """Name, version and SHA-256 over all files, for the manifest."""
        version = self.meta["version"]
        return {"name": self.name, "version": version, "sha256": _hash_folder(self.folder)}


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if "__pycache__" not in path.parts:
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def find_pipeline(name: str) -> PipelineFiles:
    """The files of a pipeline by name or path; imports nothing of spaCy.

    Raises:
        RequestError: there is none, or its files are damaged.
    """
    if name == EMBEDDED:
        return _files(_EMBEDDED_FOLDER, _EMBEDDED_FOLDER)
    if (Path(name) / "meta.json").is_file():
        return _files(Path(name), Path(name))
    if name.isidentifier() and (spec := importlib.util.find_spec(name)) is not None:
        for place in spec.submodule_search_locations or ():
            for meta in sorted(Path(place).glob("*/meta.json")):
                return _files(name, meta.parent)
    raise RequestError(
        f"no spaCy pipeline {name!r}; give {EMBEDDED!r}, a folder with a meta.json, or an "
        "installed package (install one with: python -m spacy download NAME)",
        location=_LOCATION,
    )


def _files(load_name: str | Path, folder: Path) -> PipelineFiles:
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        config.read_string((folder / "config.cfg").read_text(encoding="utf-8"))
        names = json.loads(config["nlp"]["pipeline"])
        factories = {x: json.loads(config[f"components.{x}"]["factory"]) for x in names}
        encoders = {
            x: [
                json.loads(config[section].get("upstream", '"*"'))
                for section in config.sections()
                if section.startswith(f"components.{x}.")
                and "Listener" in config[section].get("@architectures", "")
            ]
            for x in names
        }
    except (OSError, ValueError, KeyError, configparser.Error) as error:
        raise RequestError(
            f"{folder} is no whole spaCy pipeline: {error}; install it again",
            location=_LOCATION,
        ) from error
    return PipelineFiles(
        load_name=load_name, folder=folder, meta=meta, factories=factories, encoders=encoders
    )


def check_tracks(files: PipelineFiles, tracks: Sequence[str], *, listed_names: bool) -> None:
    """Refuses tracks that a pipeline cannot give.

    Args:
        listed_names: entities may come from gazetteers alone.

    Raises:
        RequestError: a track has no component.
    """
    present = set(files.factories.values())
    if not present <= _KNOWN:
        return  # a component of the user's own may set anything
    for track in tracks:
        needs = set() if track == "entities" and listed_names else _NEEDS.get(track, set())
        if needs and not needs & present:
            raise RequestError(
                f"the pipeline {files.name} has no component for the track {track!r} (one of: "
                f"{', '.join(sorted(needs))}); name a pipeline that has one, such as "
                "en_core_web_sm, or leave the track out",
                location="annotate.tracks",
            )


def load_pipeline(files: PipelineFiles, tracks: Sequence[str], *, gpu: bool) -> Any:
    """The pipeline with the components that `tracks` need; it always finds sentences.

    Raises:
        RequestError: it cannot be loaded, or there is no GPU.
    """
    import spacy

    _choose_backend(gpu=gpu)
    wanted = _wanted(tracks, set(files.factories.values()))
    try:
        nlp = spacy.load(files.load_name, exclude=_unneeded(files, wanted))
    except (OSError, ValueError, ImportError) as error:
        raise RequestError(
            f"spaCy cannot load {str(files.load_name)!r}: {error}", location=_LOCATION
        ) from error
    for name in list(nlp.disabled):  # en_core_web_* come with their senter switched off
        nlp.enable_pipe(name)
    if not (_PARSERS | _SENTENCES) & {nlp.get_pipe_meta(x).factory for x in nlp.pipe_names}:
        nlp.add_pipe("sentencizer")
    return nlp


def makes_noun_chunks(nlp: Any) -> bool:
    """Whether the pipeline has a parser, and its language rules for noun phrases."""
    factories = {nlp.get_pipe_meta(name).factory for name in nlp.pipe_names}
    return bool(_PARSERS & factories) and "noun_chunks" in nlp.Defaults.syntax_iterators


def has_rule_tokenizer(nlp: Any) -> bool:
    """Whether the pipeline has spaCy's own tokenizer, slow on long unspaced runs."""
    from spacy.tokenizer import Tokenizer

    return isinstance(nlp.tokenizer, Tokenizer)


def spacy_pos_tags() -> list[str]:
    """The universal part of speech with each of spaCy's numbers."""
    from spacy.parts_of_speech import NAMES

    return [NAMES.get(number, "") for number in range(max(NAMES) + 1)]


def _choose_backend(*, gpu: bool) -> None:
    from thinc.api import NumpyOps, get_current_ops, require_gpu, set_current_ops

    if not gpu:
        # NumPy's OpenBLAS multiplies two to four times as fast as the BLIS in spaCy's wheels,
        # with the same predictions. Other backends (Apple's) are left as they are.
        if type(get_current_ops()) is NumpyOps:
            set_current_ops(NumpyOps(use_blis=False))
        return
    try:
        require_gpu()
    except ValueError as error:
        raise RequestError(
            f"spaCy finds no GPU ({error}); install cupy for your CUDA version, or set "
            "annotate.gpus: 0",
            location="annotate.gpus",
        ) from error


def _wanted(tracks: Sequence[str], present: set[str]) -> set[str]:
    """Factories that the tracks need, of those that there are."""
    wanted: set[str] = set()
    for track in tracks:
        if track in ("pos", "phrases", "salience"):
            wanted |= _POS | {"attribute_ruler"}
        if track in ("entities", "salience"):
            wanted |= _ENTITIES
        if track in ("phrases", "depth"):
            wanted |= _PARSERS
    # A parser finds sentences as well; without one the cheaper components do.
    if not wanted & present & _PARSERS:
        wanted |= _SENTENCES if present & _SENTENCES else _PARSERS
    return wanted


def _unneeded(files: PipelineFiles, wanted: set[str]) -> list[str]:
    kept = {x for x, f in files.factories.items() if f in wanted or f not in _KNOWN}
    listened = {encoder for name in kept for encoder in files.encoders[name]}
    for name, factory in files.factories.items():
        if factory in _ENCODERS and (name in listened or "*" in listened):
            kept.add(name)
    return [name for name in files.factories if name not in kept]

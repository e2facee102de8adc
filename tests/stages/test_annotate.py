"""The annotate stage with the pipeline that Premask ships, and with small ones made here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from premask._errors import RequestError
from premask.schemas.job import Annotate
from premask.schemas.records import ANNOTATIONS, DOCUMENTS
from premask.schemas.unit import Ledger
from premask.stages.annotate import Annotator, annotator_info, track_names
from premask.stages.annotate_columns import POS_TAGS
from spacy.language import Language
from spacy.tokens import Doc

from tests.stages.annotating import ALL, OBAMA, annotate, documents, saved, sentences, spans


@pytest.fixture(scope="module")
def embedded() -> Annotator:
    return Annotator(Annotate(tracks=ALL))


def test_a_fresh_machine_finds_real_entities(embedded: Annotator) -> None:
    result = annotate(embedded, OBAMA)
    labels = track_names(Annotate(tracks=ALL))["entity_labels"]
    assert spans(result, "entity") == ["Barack Obama", "Hawaii", "Chicago"]
    assert [labels[code] for code in result["entity_codes"][0]] == ["PER", "LOC", "LOC"]


def test_sentences_begin_at_their_first_word(embedded: Annotator) -> None:
    result = annotate(embedded, f"\r\n  {OBAMA}\r\n")
    assert [s.strip() for s in sentences(result)] == OBAMA.replace(". H", ".|H").split("|")


def test_every_word_has_a_tag_and_a_rank(embedded: Annotator) -> None:
    result = annotate(embedded, "The old man saw 😀 a dog.")
    tags = [POS_TAGS[code] for code in result["pos_tags"][0]]
    words = spans(result, "annotated_word")
    assert words == ["The", "old", "man", "saw", "😀", "a", "dog", "."]
    assert tags[:4] == ["DET", "ADJ", "NOUN", "VERB"]
    assert tags[5:] == ["DET", "NOUN", "PUNCT"]
    ranks = dict(zip(words, result["salience"][0], strict=True))
    assert max(ranks.values()) == 255
    assert ranks["dog"] > ranks["saw"] > ranks["The"] > 0


def test_noun_phrases_come_from_parts_of_speech_without_a_parser(embedded: Annotator) -> None:
    result = annotate(embedded, "The old man saw a big dog in the garden.")
    assert spans(result, "phrase") == ["The old man", "a big dog", "the garden"]


@pytest.mark.parametrize("track", ["sentences", "entities", "phrases", "pos", "salience"])
def test_only_the_columns_that_are_asked_for_are_added(track: Any) -> None:
    batch = next(Annotator(Annotate(tracks=(track,)))([documents([OBAMA])], Ledger(unit="u")))
    words = ["annotated_word_starts", "annotated_word_ends"]
    expected = {
        "sentences": ["sentence_starts"],
        "entities": ["entity_starts", "entity_ends", "entity_codes"],
        "phrases": ["phrase_starts", "phrase_ends"],
        "pos": [*words, "pos_tags"],
        "salience": [*words, "salience"],
    }
    assert batch.schema.names == [*DOCUMENTS.names, *expected[track]]
    assert all(batch.schema.field(n).type == ANNOTATIONS[n] for n in expected[track])


def test_documents_without_words_get_empty_lists(embedded: Annotator) -> None:
    result = annotate(embedded, "", " \n ", OBAMA)
    assert result["entity_starts"][:2] == [[], []]
    assert result["sentence_starts"][:2] == [[], []]
    assert spans(result, "entity", 2)[0] == "Barack Obama"


def test_a_batch_without_documents_keeps_its_columns(embedded: Annotator) -> None:
    assert annotate(embedded)["entity_starts"] == []


def test_long_documents_are_annotated_in_pieces_at_the_right_offsets(
    embedded: Annotator,
) -> None:
    text = f"{OBAMA}\n\n" * 700
    assert len(text) > 2 * 20_000
    result = annotate(embedded, "Short.", text)
    assert spans(result, "entity", 1).count("Barack Obama") == 700
    assert sentences(result, 1)[-1] == "He lived in Chicago for many years.\n\n"


def test_annotations_do_not_depend_on_how_batches_are_packed() -> None:
    texts = [
        f"{OBAMA} Angela Merkel met {n} people from Rome."[: 20 + 3 * n] for n in range(30)
    ]
    small = annotate(Annotator(Annotate(tracks=ALL, batch_words=100)), *texts)
    large = annotate(Annotator(Annotate(tracks=ALL, batch_words=8000)), *texts)
    alone = Annotator(Annotate(tracks=ALL))
    rows = [annotate(alone, text) for text in texts]
    assert small == large
    assert [row["entity_starts"][0] for row in rows] == large["entity_starts"]


@Language.component("premask_test_fail")
def fail_on_a_word(doc: Doc) -> Doc:
    if "fail" in doc.text:
        raise KeyError("no such thing")
    return doc


def test_a_document_on_which_spacy_fails_is_rejected_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("premask_test_fail")
    annotator = Annotator(Annotate(pipeline=saved(nlp, tmp_path), tracks=("sentences",)))
    ledger = Ledger(unit="u", documents_read=3)
    long = "words and words. " * 3000 + "fail"  # its last piece fails
    result = annotate(annotator, "One. Two.", long, "Three.", ledger=ledger)
    assert result["document_id"] == ["d0", "d2"]
    assert result["sentence_starts"] == [[0, 5], [0]]
    assert ledger.rejected == [
        {
            "document_id": "d1",
            "unit": "u",
            "position": 10,
            "stage": "annotate",
            "reason": "spacy_error",
            "detail": "KeyError: 'no such thing'",
        }
    ]


@Language.component("premask_test_chain")
def each_word_hangs_on_the_next(doc: Doc) -> Doc:
    heads = [min(token.i + 1, token.sent.end - 1) for token in doc]
    return Doc(
        doc.vocab,
        words=[token.text for token in doc],
        spaces=[bool(token.whitespace_) for token in doc],
        heads=heads,
        deps=["dep"] * len(doc),
    )


def test_depth_counts_steps_to_the_root_from_one(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("premask_test_chain")
    annotator = Annotator(Annotate(pipeline=saved(nlp, tmp_path), tracks=("depth",)))
    result = annotate(annotator, "a b see. do end.", "x")
    assert result["depth"] == [[4, 3, 2, 1, 3, 2, 1], [1]]


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pipeline whose parser has learnt one sentence by heart."""
    from spacy.training import Example

    nlp = spacy.blank("en")
    nlp.add_pipe("morphologizer")
    nlp.add_pipe("parser", config={"min_action_freq": 1})
    words = ["The", "old", "man", "saw", "a", "big", "dog", "."]
    gold = {
        "heads": [2, 2, 3, 3, 6, 6, 3, 3],
        "deps": ["det", "amod", "nsubj", "ROOT", "det", "amod", "dobj", "punct"],
        "pos": ["DET", "ADJ", "NOUN", "VERB", "DET", "ADJ", "NOUN", "PUNCT"],
    }
    example = Example.from_dict(Doc(nlp.vocab, words=words), gold)
    nlp.initialize(lambda: [example])
    for _ in range(30):
        nlp.update([example])
    return saved(nlp, tmp_path_factory.mktemp("parser"))


def test_noun_phrases_come_from_the_parser_where_there_is_one(parser: str) -> None:
    annotator = Annotator(Annotate(pipeline=parser, tracks=("phrases", "depth")))
    result = annotate(annotator, "The old man saw a big dog .")
    assert spans(result, "phrase") == ["The old man", "a big dog"]
    assert result["depth"] == [[3, 3, 2, 1, 3, 3, 2, 2]]


def test_gazetteers_join_the_models_entities(tmp_path: Path) -> None:
    names = tmp_path / "names.jsonl"
    entries = [("Hawaii", "ISLAND"), ("born in Hawaii", "PHRASE"), ("many years", "TIME")]
    lines = [json.dumps({"name": name, "label": label}) for name, label in entries]
    names.write_text("\n".join(lines))
    settings = Annotate(tracks=("entities",), gazetteers=(str(names),))
    result = annotate(Annotator(settings), OBAMA, "We saw Hawaii.")
    labels = track_names(settings)["entity_labels"]
    assert labels == ("", "ISLAND", "LOC", "MISC", "ORG", "PER", "PHRASE", "TIME")
    found = [labels[code] for code in result["entity_codes"][0]]
    assert list(zip(spans(result, "entity"), found, strict=True)) == [
        ("Barack Obama", "PER"),
        ("born in Hawaii", "PHRASE"),  # the longest wins
        ("Chicago", "LOC"),
        ("many years", "TIME"),
    ]
    assert [labels[code] for code in result["entity_codes"][1]] == ["LOC"]  # the model's


def test_gazetteers_alone_do_for_a_pipeline_without_entities(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Barack_Obama\nChicago\n")
    settings = Annotate(
        pipeline=saved(spacy.blank("en"), tmp_path / "blank"),
        tracks=("entities", "sentences"),
        gazetteers=(str(tmp_path / "names.txt"),),
    )
    result = annotate(Annotator(settings), OBAMA)
    assert spans(result, "entity") == ["Barack Obama", "Chicago"]
    assert len(sentences(result)) == 2


def test_the_manifest_names_pipeline_version_and_hashes(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("Chicago\n")
    info = annotator_info(Annotate(gazetteers=(str(tmp_path / "names.txt"),)))
    assert (info["name"], info["version"]) == ("en_premask", "1.0.0")
    assert len(info["sha256"]) == 64
    assert info["gazetteers"][0]["name"] == "names.txt"


def test_the_hash_follows_the_files(tmp_path: Path) -> None:
    settings = Annotate(pipeline=saved(spacy.blank("en"), tmp_path))
    before = annotator_info(settings)["sha256"]
    assert annotator_info(settings)["sha256"] == before
    (tmp_path / "tokenizer").write_bytes(b"other")
    assert annotator_info(settings)["sha256"] != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pipeline": "xx_no_such_pipeline"}, "no spaCy pipeline 'xx_no_such_pipeline'"),
        ({"tracks": ("depth",)}, "no component for the track 'depth'"),
        ({"tracks": ("pos",), "gazetteers": ("x.txt",)}, "need the track 'entities'"),
        ({"tracks": ("entities",), "gazetteers": ("x.txt",)}, "cannot read the gazetteer"),
        ({"gpus": 1}, "no GPU"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_remedy(
    changes: dict[str, Any], message: str
) -> None:
    if "gpus" in changes and has_gpu():
        pytest.skip("this machine has a GPU for spaCy")
    with pytest.raises(RequestError, match=message):
        Annotator(Annotate(**changes))


def has_gpu() -> bool:
    from thinc import compat

    return bool(compat.has_cupy_gpu)


def test_a_damaged_pipeline_is_refused(tmp_path: Path) -> None:
    saved(spacy.blank("en"), tmp_path)
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    with pytest.raises(RequestError, match="no whole spaCy pipeline"):
        annotator_info(Annotate(pipeline=str(tmp_path)))


def test_components_that_no_track_needs_are_not_loaded() -> None:
    annotator = Annotator(Annotate(tracks=("sentences",)))
    assert annotator.components == ("tok2vec", "senter")


def test_names_of_tracks_and_hashes_are_read_without_spacy() -> None:
    code = (
        "import sys\n"
        "import premask.stages.chain\n"
        "from premask.schemas.job import Annotate\n"
        "from premask.stages.annotate import annotator_info, track_names\n"
        "annotator_info(Annotate()), track_names(Annotate())\n"
        "sys.exit('spacy' in sys.modules or 'thinc' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

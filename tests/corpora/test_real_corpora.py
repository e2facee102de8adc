"""Real dumps, extracted articles and novels become shards with the real tokenizers."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import premask
import pytest

from tests.corpora.conftest import CORPORA, TOKENIZERS, RealSet

Make = Callable[[str, str], RealSet]
every_set = pytest.mark.parametrize(
    ("corpus", "tokenizer"), [(c, t) for c in CORPORA for t in TOKENIZERS]
)
DUMPS = {name: path for name, path in CORPORA.items() if path.parent.name == "dump"}


def expected_counts(small: Path, dump: Path) -> dict[str, int]:
    """What the data's own manifest says of a dump."""
    manifest = json.loads((small / "MANIFEST.json").read_text())
    entry = next(e for e in manifest["entries"] if e["path"] == f"dump/{dump.name}")
    counts: dict[str, int] = entry["expect"]
    return counts


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_page_counts_are_those_of_the_dump(
    dump: str, tokenizer: str, real_set: Make, shared_small: Path
) -> None:
    expected = expected_counts(shared_small, CORPORA[dump])
    totals = premask.open_shards(real_set(dump, tokenizer).path).manifest.totals
    passed_over = totals["counters"]["redirects"] + totals["counters"].get(
        "other_namespaces", 0
    )
    assert totals["documents_read"] == expected["articles_ns0_not_redirect"]
    assert passed_over + totals["documents_read"] == expected["pages"]


@every_set
def test_every_document_is_in_a_row_or_in_the_reject_file(
    corpus: str, tokenizer: str, real_set: Make
) -> None:
    made = real_set(corpus, tokenizer)
    totals = premask.open_shards(made.path).manifest.totals
    rejects = [
        json.loads(line) for line in (made.path / "rejected.jsonl").read_text().splitlines()
    ]
    kept = set(made.table["document_id"].to_pylist())
    assert totals["documents_rejected"] == len(rejects)
    assert len(kept) == totals["documents_kept"] == totals["documents_read"] - len(rejects)
    assert kept.isdisjoint(reject["document_id"] for reject in rejects)


@every_set
def test_every_row_is_a_window_of_a_plain_encode(
    corpus: str, tokenizer: str, real_set: Make
) -> None:
    made = real_set(corpus, tokenizer)
    vocabulary = premask.open_shards(made.path).vocabulary
    prefix, suffix = list(vocabulary.prefix_ids), list(vocabulary.suffix_ids)
    width = 128 - len(prefix) - len(suffix)
    plain = made.tokenizer
    specials = [token.content for token in plain.get_added_tokens_decoder().values()]
    got = defaultdict(list)
    for name, ids in zip(
        made.table["document_id"].to_pylist(), made.table["input_ids"].to_pylist(), strict=True
    ):
        got[name].append(ids)
    num_compared = 0
    for name, text in made.documents():
        if any(special in text for special in specials):
            continue  # a plain encode would take the look-alike for the special token
        ids = plain.encode(text, add_special_tokens=False).ids
        windows = [
            prefix + ids[start : start + width] + suffix for start in range(0, len(ids), width)
        ]
        assert sorted(got[name]) == sorted(windows), name
        num_compared += 1
    assert num_compared > 0.95 * len(got)


def squeezed(text: str) -> str:
    """Text without blanks, in one normal form: what normalisers may not change."""
    return "".join(unicodedata.normalize("NFKC", text).split())


@every_set
def test_decoding_gives_back_the_text_up_to_the_normaliser(
    corpus: str, tokenizer: str, real_set: Make
) -> None:
    made = real_set(corpus, tokenizer)
    plain, unknown = made.tokenizer, premask.open_shards(made.path).vocabulary.unk_id
    num_compared = 0
    for _, text in made.documents():
        ids = plain.encode(text[:5000], add_special_tokens=False).ids
        if unknown in ids:
            continue  # an unknown token does not tell what it stood for
        decoded = plain.decode(ids, skip_special_tokens=False)
        if tokenizer in ("gpt2", "roberta"):
            assert decoded == text[:5000]
        else:
            normal = plain.normalizer.normalize_str(text[:5000]).replace("▁", " ")
            assert squeezed(decoded) == squeezed(normal)
        num_compared += 1
    assert num_compared

"""Policies as data: forms, fingerprints, refusals."""

from __future__ import annotations

import json
import math
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from premask._errors import PolicyError, RequestError
from premask.masking._operation import Binding
from premask.masking._rows import Vocabulary
from premask.masking.apply import apply_policy
from premask.masking.composite import COMPOSITES
from premask.masking.operations import OPERATIONS
from premask.masking.policy import policy
from premask.masking.presets import PRESETS

from tests.masking.batches import BINDING, VOCABULARY, assert_same, random_rows

WORDS = {"random": "b855d47b", "whole_word": "174eed23", "span": "ff16e76c"}


def test_a_name_a_mapping_and_a_policy_make_the_same_policy() -> None:
    by_name = policy("random", rate=0.3)
    assert policy({"preset": "random", "rate": 0.3}) == by_name
    assert policy(by_name) == by_name
    assert policy(policy("random"), rate=0.3) == by_name


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_file_makes_the_same_policy(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    path.write_text('{"preset": "whole_word", "rate": 0.2}')
    assert policy(path) == policy(str(path)) == policy("whole_word", rate=0.2)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_survives_its_plain_form(name: str) -> None:
    first = policy(name)
    again = policy(json.loads(json.dumps(first.to_dict())))
    assert again == first
    assert again.fingerprint == first.fingerprint
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_says_what_it_does(name: str) -> None:
    preset = PRESETS[name]
    assert preset.name == name
    assert preset.operation in {**OPERATIONS, **COMPOSITES}
    assert policy(name).law == preset.law
    assert policy(name).deviations == preset.deviations
    assert min(len(text) for text in (preset.law, preset.summary, preset.source)) > 10


def test_the_word_is_the_head_of_the_fingerprint() -> None:
    chosen = policy("random")
    assert f"{chosen.word:08x}" == chosen.fingerprint[:8]


def test_a_fingerprint_depends_on_parameters_and_not_on_the_name() -> None:
    assert policy("random").fingerprint == policy("random", name="mine").fingerprint
    assert policy("random").fingerprint != policy("random", rate=0.16).fingerprint
    assert policy("random", rate=1).fingerprint == policy("random", rate=1.0).fingerprint


def test_fingerprints_of_the_main_presets_never_change() -> None:
    words = {name: policy(name).fingerprint[:8] for name in ("random", "whole_word", "span")}
    assert words == WORDS


def test_the_order_of_keys_does_not_matter() -> None:
    first = policy({"preset": "random", "rate": 0.2, "mask": 0.7})
    assert policy({"mask": 0.7, "rate": 0.2, "preset": "random"}).word == first.word


@pytest.mark.parametrize(
    ("value", "changes", "location", "message"),
    [
        ("randon", {}, "policy.preset", "did you mean 'random'"),
        ("random", {"rat": 0.1}, "policy.rat", "did you mean 'rate'"),
        ("random", {"rate": 1.5}, "policy.rate", "a number from 0 to 1, got 1.5"),
        ("random", {"rate": "0.1"}, "policy.rate", "got '0.1'"),
        ("random", {"rate": True}, "policy.rate", "got True"),
        ("random", {"rate": float("nan")}, "policy.rate", "got nan"),
        ("random", {"units": "wrod"}, "policy.units", "did you mean 'word'"),
        ("random", {"at_least": 0.5}, "policy.at_least", "an integer"),
        ("random", {"mask": 0.8, "random": 0.3}, "policy.random", "at most 1, got 0.8 + 0.3"),
        ("random", {"random_special": 1}, "policy.random_special", "true or false"),
        ("frequency", {"weights": 3}, "policy.weights", "a list of names"),
        ("frequency", {"weights": ["rar"]}, "policy.weights[0].by", "did you mean 'rare'"),
        (
            "frequency",
            {"weights": ["rare", {"by": "inverse_power", "alpah": 1}]},
            "policy.weights[1].alpah",
            "did you mean 'alpha'",
        ),
        ("random", {"at_least": 10**23}, "policy.at_least", "from 0 to 2147483647"),
        ("random", {"at_most": 1 << 31}, "policy.at_most", "from 0 to 2147483647"),
        ("frequency", {"rate": 10**400}, "policy.rate", "finite numbers"),
        ("ul2", {"mode_weights": [2, math.nan]}, "policy.mode_weights", "finite numbers"),
        ({"rate": 0.3}, {}, "policy", "either 'preset' or 'operation'"),
        ({"operation": "mask_unit"}, {}, "policy.operation", "did you mean 'mask_units'"),
        ([], {}, "policy", "got []"),
        ("mixture", {"policies": []}, "policy.policies", "no policy"),
        ("mixture", {"shares": [1]}, "policy.shares", "3 shares"),
        ("mixture", {"policies": ["random", "spam"]}, "policy.policies[1].preset", "'spam'"),
        ("schedule", {"until": [0.5, 0.2, 1]}, "policy.until", "ascending"),
        ("schedule", {"epochs": 3, "steps": 10}, "policy.epochs", "either epochs or steps"),
    ],
)
def test_a_wrong_field_is_named_with_its_path(
    value: Any, changes: dict[str, Any], location: str, message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        policy(value, **changes)
    assert caught.value.location == location
    assert message in str(caught.value)
    assert str(caught.value).endswith(f"- at {location}")
    assert isinstance(caught.value, RequestError)


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml"):
        policy(tmp_path / "none.yaml")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(PolicyError, match="not JSON"):
        policy(tmp_path / "bad.json")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(PolicyError, match="not YAML"):
        policy(tmp_path / "bad.yaml")


def test_yaml_without_pyyaml_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("preset: random")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(PolicyError, match="pip install pyyaml"):
        policy(tmp_path / "mine.yaml")


def test_a_track_that_rows_lack_is_named_with_the_remedy() -> None:
    rows = random_rows(np.random.default_rng(0), 2, 20)
    bare = type(rows)(
        input_ids=rows.input_ids,
        lengths=rows.lengths,
        boundaries=rows.boundaries,
        keys=rows.keys,
    )
    with pytest.raises(PolicyError) as caught:
        policy("syntax").bind(BINDING)(bare)
    assert "'syntax' needs the track pos_tags" in str(caught.value)
    assert "annotate: {tracks: [pos]}" in str(caught.value)


def test_boundary_bits_that_rows_do_not_carry_are_refused_when_bound() -> None:
    binding = Binding(vocabulary=VOCABULARY, max_length=64, boundaries=("word_start",))
    with pytest.raises(PolicyError) as caught:
        policy("entity").bind(binding)
    assert str(caught.value).startswith(
        "policy 'entity' needs the track entity_start, which these rows lack; "
        "build with annotate: {tracks: [entities]}"
    )


@pytest.mark.parametrize(
    ("name", "changes", "vocabulary", "location"),
    [
        ("random", {}, {"mask_id": None}, "policy.mask"),
        ("random", {}, {"replacement_ranges": ()}, "policy.random"),
        ("random", {"random_from": "unigram"}, {}, "policy.random_from"),
        ("frequency", {}, {}, "policy.weights[0]"),
        ("pmi", {}, {}, "policy.units"),
    ],
)
def test_what_a_vocabulary_or_its_tables_lack_is_named(
    name: str, changes: dict[str, Any], vocabulary: dict[str, Any], location: str
) -> None:
    fields = {**VOCABULARY.to_json(), **vocabulary}
    binding = Binding(vocabulary=Vocabulary.from_json(fields), max_length=64)
    with pytest.raises(PolicyError) as caught:
        policy(name, **changes).bind(binding)
    assert caught.value.location == location


def test_a_row_beyond_the_promised_length_is_refused() -> None:
    rows = random_rows(np.random.default_rng(0), 3, 20, shortest=20)
    with pytest.raises(PolicyError, match="at most 10"):
        policy("random").bind(Binding(vocabulary=VOCABULARY, max_length=10))(rows)


def test_apply_policy_takes_padded_rows_with_their_binding() -> None:
    rows = random_rows(np.random.default_rng(0), 4, 30)
    expected = policy("random").bind(BINDING)(rows, 3)
    assert_same(expected, apply_policy("random", (rows, BINDING), epoch=3))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"\xff"),
        ("a.json", b"[" * 100_000),
        ("a.yaml", b"\xff"),
        ("a.yaml", b"preset: !!float x"),
        ("a.yaml", b"[a]: b"),
        ("a.yaml", b"preset: random\npreset: span"),
    ],
)
def test_a_policy_file_that_is_a_trap_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=name):
        policy(path)

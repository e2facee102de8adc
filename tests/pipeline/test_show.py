"""`premask show` and `premask policies`: every preset, on a set built from the samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import premask
import pytest
from premask._errors import PolicyError, RequestError
from premask.masking._rows import Vocabulary
from premask.masking.presets import PRESETS
from premask.pipeline.commands.show import draw, parse_epochs
from premask.pipeline.freeze import freeze
from premask.pipeline.lineage import rows_of
from premask.pipeline.local import LocalEngine
from premask.pipeline.progress import Reporters
from premask.pipeline.roles import Reading, read_outputs
from premask.pipeline.show import Segment, View, make_view
from premask.pipeline.show_page import render
from rich.console import Console

from tests.pipeline.sets import premask as run

PAIRS = {"seq2seq"}
SHOWN = [name for name in PRESETS if name not in PAIRS]
VOCABULARY = Vocabulary(
    size=40,
    pad_id=0,
    mask_id=4,
    special_ids=(0, 2, 3, 4, 30, 31, 32),
    sentinel_ids=(30, 31, 32),
)


def drawn(view: View, width: int = 100) -> str:
    stream = io.StringIO()
    draw(view, Console(file=stream, width=width))
    return stream.getvalue()


def reading(policy: str, *, original: list[int] | None = None, **outputs: Any) -> Reading:
    arrays = {name: np.array(value) for name, value in outputs.items()}
    return read_outputs(premask.policy(policy), arrays, VOCABULARY, original)


def roles(tokens: list[Any]) -> list[str]:
    return [token.role for token in tokens]


@pytest.mark.parametrize("name", SHOWN)
def test_every_preset_is_shown_with_inputs_beside_targets(
    annotated_set: Path, name: str
) -> None:
    shards = premask.open_shards(annotated_set)
    policy = premask.policy(name)
    views = [make_view(shards, row, epoch=0, policy=policy) for row in range(0, 40, 8)]
    for view in views:
        text = drawn(view)
        assert f"policy {name}" in " ".join(text.split())
        assert "inputs" in text
        assert "targets" in text
    assert any(segment.role == "target" for view in views for segment in view.targets)


def test_roles_of_substitution() -> None:
    row = [2, 10, 11, 12, 13, 3]
    found = reading(
        "random",
        original=row,
        input_ids=[2, 4, 20, 12, 13, 3, 0],
        attention_mask=[1, 1, 1, 1, 1, 1, 0],
        labels=[-100, 10, 11, 12, -100, -100, -100],
    )
    assert found.aligned
    assert roles(found.inputs) == ["special", "mask", "random", "kept", "text", "special"]
    assert [t.token_id for t in found.targets] == row
    assert found.num_predicted == 3


def test_targets_of_spans_are_a_sequence_with_sentinels() -> None:
    found = reading(
        "span_corruption",
        input_ids=[2, 10, 30, 11, 3],
        attention_mask=[1] * 5,
        labels=[30, 12, 13, 3, -100],
    )
    assert not found.aligned
    assert roles(found.inputs) == ["special", "text", "sentinel", "text", "special"]
    assert roles(found.targets) == ["sentinel", "target", "target", "special"]


def test_targets_as_long_as_the_inputs_are_not_taken_for_aligned() -> None:
    found = reading(
        "prefix_lm", input_ids=[2, 10, 3], attention_mask=[1] * 3, labels=[11, 12, 3]
    )
    assert not found.aligned
    assert roles(found.inputs) == ["special", "text", "special"]


def test_the_denoiser_is_named() -> None:
    found = reading("ul2", input_ids=[10], attention_mask=[1], labels=[30, 11], modes=2)
    assert found.facts == {"denoiser": "X, extreme"}


def test_a_permutation_shows_the_order_of_prediction() -> None:
    # Positions 1, 2 and 3 are targets; 3 sees none of them, 1 sees 3, 2 sees both.
    perm_mask = np.zeros((5, 5), int)
    for place, hidden in {1: (1, 2), 2: (2,), 3: (1, 2, 3)}.items():
        perm_mask[place, list(hidden)] = 1
    found = reading(
        "permutation",
        input_ids=[2, 4, 4, 4, 3],
        attention_mask=[1] * 5,
        labels=[-100, 10, 11, 12, -100],
        perm_mask=perm_mask,
    )
    assert [token.token_id for token in found.order] == [12, 10, 11]


def test_the_streams_of_a_future_ngram_are_shown() -> None:
    found = reading(
        "future_ngram",
        input_ids=[2, 4, 4, 3],
        attention_mask=[1] * 4,
        labels=[10, 11],
        decoder_input_ids=[9, 10],
        decoder_attention_mask=[1, 1],
        ngram_labels=[[10, 11], [-100, 11]],
    )
    assert [token.token_id for token in found.notes["decoder input"]] == [9, 10]
    assert [token.token_id for token in found.notes["predicted 2 ahead"]] == [11]


def test_a_row_shows_as_without_the_padding_of_a_static_set(
    annotated_set: Path, tmp_path: Path
) -> None:
    quiet = Reporters(reporters=())
    shards = premask.open_shards(annotated_set)
    for name in ("mixture", "ul2", "gap_sentences", "fill_in_middle"):
        policy, out = premask.policy(name), str(tmp_path / name)
        freeze(str(annotated_set), out, policy, epochs=1, engine=LocalEngine(), reporter=quiet)
        static = premask.open_shards(out)
        for row in (0, 9, 33):
            frozen = make_view(static, row, epoch=0, policy=None)
            masked = make_view(shards, row, epoch=0, policy=policy)
            assert frozen.inputs == masked.inputs
            assert [s for s in frozen.targets if s.role == "target"] == [
                s for s in masked.targets if s.role == "target"
            ]
            assert frozen.facts["policy"] == name


def test_a_policy_of_steps_is_shown_for_a_step(annotated_set: Path) -> None:
    shards, policy = premask.open_shards(annotated_set), premask.policy("mixture", per="batch")
    assert make_view(shards, 3, epoch=0, policy=policy, step=7).targets
    with pytest.raises(PolicyError, match="depends on the step"):
        make_view(shards, 3, epoch=0, policy=policy)


def test_every_preset_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    from premask.pipeline.commands.policies import policies

    for name in PRESETS:
        policies(name)
        told = " ".join(capsys.readouterr().out.split())
        assert PRESETS[name].source.split()[0] in told
        assert "parameter" in told


def test_the_list_of_policies_says_what_to_annotate() -> None:
    status, out, _ = run("policies")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert lines["gap_sentences"].split()[-2:] == ["sentence_ranks,", "sentences"]
    assert lines["pmi"].split()[-1] == "collocations"


def test_epochs_stand_on_a_page_and_in_the_terminal(built_set: Path, tmp_path: Path) -> None:
    page = tmp_path / "row.html"
    status, out, err = run(
        *("show", str(built_set), "--row", "3", "--policy", "random"),
        *("--epochs", "0-2", "--epoch", "7", "--html", str(page)),
    )
    assert (status, err) == (0, "")
    told, shown = " ".join(out.split()), page.read_text()
    for epoch in (0, 1, 2, 7):
        assert f"epoch {epoch}" in told
        assert f"<h3>Epoch {epoch}</h3>" in shown
    assert "position" in told
    assert "position" in shown


def test_a_document_leads_to_its_rows(built_set: Path) -> None:
    shards = premask.open_shards(built_set)
    rows = rows_of(shards, "part-0.txt:0")
    status, out, _ = run("show", str(built_set), "--document", "part-0.txt:0")
    assert status == 0
    assert f"begins in row {rows[0]}; its rows: {', '.join(map(str, rows))}" in out.replace(
        "\n", " "
    )
    assert run("show", str(built_set), "--document", "part-9.txt:0")[0] == 2


def test_markup_of_the_corpus_stays_text_on_the_page() -> None:
    evil = "<script>alert(1)</script>&amp;"
    segments = (Segment(evil, "text"), Segment(f" {evil}", "mask"))
    facts = {"row": evil, "document": evil, "epoch": "0"}
    view = View(facts=facts, inputs=segments, targets=segments, notes={evil: segments})
    page = render([view], [evil])
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;") >= 9


@pytest.mark.parametrize("text", ["", "-1", "3-1", "x", "0-64", "1,2"])
def test_epochs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="epochs"):
        parse_epochs([text])


def test_epochs_are_taken_once_in_the_order_given() -> None:
    assert parse_epochs(["3", "1-4", "3"]) == [3, 1, 2, 4]
    assert parse_epochs([]) == [0]

"""Presets that keep units whole: words, entities, phrases, collocations."""

from __future__ import annotations

from premask.masking._preset import Preset

_BUDGET = "The budget counts text tokens alone; random tokens are ordinary ids."
_BORDERS = "No unit crosses a special token or a document border."
_WHOLE = "Where no unit fits the budget, the first in order is taken whole: no row is empty."
_RACE = (
    "Units are taken in random order while they fit max(1, round(0.15 n)) tokens; one that "
    "does not fit is passed over"
)

UNIT_PRESETS = (
    Preset(
        name="whole_word",
        operation="mask_units",
        parameters={"units": "word"},
        summary="Whole words: all pieces of a word or none.",
        law=f"{_RACE}. 80/10/10 per piece.",
        source="google-research/bert, whole word masking",
        deviations=(_BUDGET, _BORDERS, _WHOLE),
    ),
    Preset(
        name="bert_whole_word",
        operation="mask_units",
        parameters={
            "units": "word",
            "count_special": True,
            "at_most": 20,
            "fallback": "none",
        },
        summary="Whole words with the budget of BERT's original program.",
        law="Words are taken in random order while they fit min(20, max(1, round(0.15 n))) "
        "tokens, n counting [CLS] and [SEP]; a word that does not fit is passed over. "
        "80/10/10 per piece.",
        source="google-research/bert, whole word masking, at 128 tokens",
        deviations=("Random tokens are ordinary ids.", _BORDERS),
    ),
    Preset(
        name="entity",
        operation="mask_units",
        parameters={"units": "entity", "coherence": "unit"},
        summary="Named entities and the remaining words, each whole.",
        law=f"The row is parted into named entities and the words between. {_RACE}. "
        "80/10/10 per unit.",
        source="Sun et al. 2019, ERNIE",
        deviations=(
            "An exact budget instead of ERNIE's independent draws (selection: bernoulli).",
            "All tokens of a unit share one decision.",
            _BUDGET,
            _WHOLE,
        ),
    ),
    Preset(
        name="phrase",
        operation="mask_units",
        parameters={"units": "phrase", "coherence": "unit"},
        summary="Noun phrases and the remaining words, each whole.",
        law=f"The row is parted into noun phrases and the words between. {_RACE}. "
        "80/10/10 per unit.",
        source="Sun et al. 2019, ERNIE (phrase-level masking)",
        deviations=("All tokens of a unit share one decision.", _BUDGET, _WHOLE),
    ),
    Preset(
        name="ernie",
        operation="mask_units",
        parameters={"units": "entity", "selection": "bernoulli"},
        summary="Entities and words, each on its own, as in ERNIE 1.0.",
        law="Every entity and every remaining word is selected with probability 0.15, "
        "independently and whatever its length; 80/10/10 per token.",
        source="PaddlePaddle/ERNIE release r2.0, batching.py",
        deviations=("Random tokens are ordinary ids.", "The last unit of a row takes part."),
    ),
    Preset(
        name="salient",
        operation="mask_units",
        parameters={
            "units": "entity",
            "candidates": "entity",
            "within": "sentence",
            "count": "unit",
            "rate": 0.0,
            "at_least": 1,
            "at_most": 1,
            "mask": 1.0,
            "random": 0.0,
        },
        summary="One salient span (named entity or date) of the row.",
        law="One named entity, each equally likely, is replaced by [MASK]; a row without an "
        "entity has no target.",
        source="Guu et al. 2020, REALM",
        deviations=(
            "The row stays whole; REALM cuts it to the sentence of the span.",
            "Rows without a span are kept, with no target; otherwise: all masks a word there.",
        ),
    ),
    Preset(
        name="pmi",
        operation="mask_units",
        parameters={"units": "collocation", "coherence": "unit"},
        summary="Collocations and the remaining words, each whole.",
        law="The row is parted into n-grams of the collocation table and the words between: a "
        "longer entry beats one that it contains, of overlapping entries one is kept at "
        f"random. {_RACE}. 80/10/10 per unit.",
        source="Levine et al. 2021, PMI-Masking",
        deviations=(_BUDGET, _WHOLE),
    ),
)

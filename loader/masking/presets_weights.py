"""Presets that prefer some tokens: by frequency, syntax, context, meaning, or loss."""

from __future__ import annotations

from premask.masking._preset import Preset

_RACE = "Words are drawn one after the other, each with a chance proportional to its weight"
_INCLUSION = (
    "The weights are those of successive draws; the share of masks that a word gets is not "
    "proportional to them (selection: pareto makes it so)."
)
_CONTENT = {"NOUN": 1.0, "PROPN": 1.0, "VERB": 1.0, "ADJ": 1.0, "ADV": 1.0, "NUM": 1.0}

WEIGHT_PRESETS = (
    Preset(
        name="frequency",
        operation="mask_units",
        parameters={"weights": ({"by": "inverse_power", "alpha": 0.5},)},
        summary="Rare tokens are preferred.",
        law="Tokens are drawn one after the other, each with a chance proportional to "
        "count ** -0.5, until round(0.15 n) are selected; 80/10/10.",
        source="Lample and Conneau 2019, XLM (alpha 0.5)",
        deviations=("Drawn within each row; XLM draws over the whole batch.", _INCLUSION),
    ),
    Preset(
        name="frequency_rare",
        operation="mask_units",
        parameters={"weights": ({"by": "rare"},), "otherwise": "all"},
        summary="Only rare tokens.",
        law="Of the tokens that the corpus has at most 1000 times, round(0.15 n) or all are "
        "selected, every set equally likely; 80/10/10.",
        source="threshold form of frequency-based masking",
        deviations=("A row without a rare token is masked as by `random`.",),
    ),
    Preset(
        name="frequency_common",
        operation="mask_units",
        parameters={"weights": ({"by": "common"},), "otherwise": "all"},
        summary="Only common tokens.",
        law="Of the tokens that the corpus has at least 1000 times, round(0.15 n) or all are "
        "selected, every set equally likely; 80/10/10.",
        source="threshold form of frequency-based masking",
        deviations=("A row without a common token is masked as by `random`.",),
    ),
    Preset(
        name="frequency_word2vec",
        operation="mask_units",
        parameters={"weights": ({"by": "word2vec", "sample": 1e-3},)},
        summary="Very frequent tokens are damped as in word2vec.",
        law="Tokens are drawn one after the other, each with a chance proportional to "
        "min(1, sqrt(r) + r), r = 0.001 * total / count, until round(0.15 n) are selected.",
        source="Mikolov et al. 2013; gensim, word2vec.py",
        deviations=(_INCLUSION,),
    ),
    Preset(
        name="syntax",
        operation="mask_units",
        parameters={
            "units": "word",
            "weights": (
                {
                    "by": "pos",
                    "weights": {
                        "NOUN": 4.0,
                        "PROPN": 4.0,
                        "VERB": 4.0,
                        "ADJ": 2.0,
                        "ADV": 2.0,
                        "NUM": 2.0,
                        "PUNCT": 0.25,
                    },
                },
            ),
        },
        summary="Words by their part of speech: nouns and verbs are preferred.",
        law=f"{_RACE}: 4 for nouns, proper nouns and verbs, 2 for adjectives, adverbs and "
        "numerals, 1/4 for punctuation, 1 else; passing over words that exceed the budget.",
        source="part-of-speech weighted masking, as in Yang et al. 2023",
        deviations=(_INCLUSION,),
    ),
    Preset(
        name="syntax_phrase",
        operation="mask_units",
        parameters={"units": "phrase", "candidates": "phrase", "otherwise": "all"},
        summary="Noun phrases only, each whole.",
        law="Noun phrases are taken in random order while they fit max(1, round(0.15 n)) "
        "tokens; no other word is selected. 80/10/10 per token.",
        source="syntax-aware masking of phrases",
        deviations=("A row without a phrase is masked as by `whole_word`.",),
    ),
    Preset(
        name="syntax_dependency",
        operation="mask_units",
        parameters={"units": "word", "weights": ({"by": "depth"},)},
        summary="Words near the root of the dependency tree are preferred.",
        law=f"{_RACE}: 1 / (1 + distance to the root of the dependency tree).",
        source="syntax-aware masking by dependency depth",
        deviations=(_INCLUSION,),
    ),
    Preset(
        name="contextual",
        operation="mask_units",
        parameters={"units": "word", "weights": ({"by": "salience", "strength": 4.0},)},
        summary="Words that stand out in their sentence are preferred.",
        law=f"{_RACE}: 2 ** (4 rank), rank the relative rank (0 to 1) of the word's score "
        "within its sentence.",
        source="context-dependent masking by scores within the sentence",
        deviations=(_INCLUSION,),
    ),
    Preset(
        name="semantic",
        operation="mask_units",
        parameters={
            "units": "word",
            "weights": (
                {"by": "pos", "weights": _CONTENT, "other": 0.0},
                {"by": "inverse_power", "alpha": 0.5},
            ),
            "otherwise": "all",
        },
        summary="Content words only, informative ones preferred.",
        law=f"Content words alone are candidates. {_RACE}: count ** -0.5.",
        source="semantic masking by content words and information content",
        deviations=("A row without a content word is masked as by `whole_word`.", _INCLUSION),
    ),
    Preset(
        name="adaptive",
        operation="mask_units",
        parameters={"units": "word", "weights": ({"by": "adaptive"},)},
        summary="Words with a high loss so far are preferred.",
        law=f"{_RACE}: sigmoid(2 z), z the standardised mean loss of its token id in the "
        "snapshot of the epoch; without a snapshot all are equal.",
        source="Yang et al. 2023, Learning Better Masking (time-variant weights)",
        deviations=(
            "The budget is always met; the published rejection may fall short of it.",
            "Weights change with named snapshots, so that any epoch can be masked again.",
            "Classes are token ids (of: pos_tags for parts of speech, as published).",
        ),
    ),
)

"""Presets that mask spans of several words, drawn anywhere."""

from __future__ import annotations

from premask.masking._preset import Preset

_ORDINARY = "Random tokens are ordinary ids."
_BORDERS = "No span crosses a special token or a document border; it ends there."

SPAN_PRESETS = (
    Preset(
        name="span",
        operation="mask_spans",
        parameters={"rounding": "ceil", "coherence": "run"},
        summary="Spans of words with geometric lengths, as in SpanBERT.",
        law="Tokens are drawn uniformly; one that is not masked yet opens, at the start of its "
        "word, a span of l words, P(l) proportional to 0.2 * 0.8 ** (l - 1) for l = 1..10. "
        "The last span is cut where ceil(0.15 n) tokens are masked. 80/10/10 per run of masked "
        "tokens.",
        source="Joshi et al. 2020, SpanBERT",
        deviations=(
            "Random tokens are uniform over ordinary ids (random_from: unigram as published).",
            _BORDERS,
            "No span boundary objective.",
        ),
    ),
    Preset(
        name="ngram",
        operation="mask_ngrams",
        parameters={"lengths": "harmonic", "longest": 3},
        summary="N-grams of 1 to 3 words, shorter ones more often, as in ALBERT.",
        law="Words are gone through in random order; each opens an n-gram, P(n) proportional "
        "to 1/n for n = 1..3, shrunk until it fits what is left of max(1, round(0.15 n)) "
        "tokens, passed over where it touches a masked one. 80/10/10 per token.",
        source="Lan et al. 2020, ALBERT; create_pretraining_data.py",
        deviations=(
            "The budget counts text tokens alone.",
            _ORDINARY,
            _BORDERS,
            "Lengths come from the row's own key, not from a global generator.",
            "Where no word fits the budget, the first in order is taken whole.",
        ),
    ),
    Preset(
        name="macbert",
        operation="mask_ngrams",
        parameters={"shares": (0.4, 0.3, 0.2, 0.1)},
        summary="N-grams of 1 to 4 words with the shares of MacBERT.",
        law="As `ngram`, with 40, 30, 20 and 10 % of n = 1, 2, 3 and 4.",
        source="Cui et al. 2020, MacBERT",
        deviations=(
            "[MASK] instead of a similar word.",
            "The budget counts text tokens alone.",
            _ORDINARY,
            _BORDERS,
        ),
    ),
)

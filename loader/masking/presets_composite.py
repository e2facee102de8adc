"""Presets that choose among other policies."""

from __future__ import annotations

from premask.masking._preset import Preset

COMPOSITE_PRESETS = (
    Preset(
        name="mixture",
        operation="mixture",
        parameters={"policies": ("random", "whole_word", "span")},
        summary="Every row draws one of several policies.",
        law="A row is masked by `random`, `whole_word` or `span`, each with chance 1/3, drawn "
        "anew in every epoch, and then exactly as that policy alone would mask it.",
        source="mixtures of objectives, as in UL2 (Tay et al. 2022)",
        deviations=("per: batch draws per step of the run; such a policy cannot be frozen.",),
    ),
    Preset(
        name="schedule",
        operation="schedule",
        parameters={"policies": ("random", "whole_word", "span"), "epochs": 3},
        summary="One policy after the other, by the progress of training.",
        law="`random` in the first third of the epochs, `whole_word` in the second, `span` in "
        "the last, each exactly as that policy alone.",
        source="curricula of masking; ERNIE's stages (Sun et al. 2019)",
    ),
    Preset(
        name="rate_schedule",
        operation="rate_schedule",
        parameters={"epochs": 20},
        summary="A rate that falls from 0.32 to 0.02 in the course of training.",
        law="In window k of 20, t = k / 19, the rate is 0.15 (1 + cos(pi t)) + 0.02, and rows "
        "are masked as by `random` with it.",
        source="Yang et al. 2023, Learning Better Masking (masking ratio decay)",
        deviations=("The rate changes in windows; exact budgets instead of Bernoulli draws.",),
    ),
)

"""Presets that mask single tokens, whatever they mean."""

from __future__ import annotations

from premask.masking._preset import Preset

TOKEN_PRESETS = (
    Preset(
        name="random",
        operation="mask_units",
        summary="Random tokens, an exact share of every row.",
        law="Of a row with n text tokens, max(1, round(0.15 n)) are selected, every set of "
        "that size equally likely; each becomes [MASK] (80 %), a random token (10 %) or stays.",
        source="Devlin et al. 2019, BERT",
        deviations=(
            "The budget counts text tokens alone, so that short rows are not masked more.",
            "Random tokens are ordinary ids: no special, unknown or unused ones.",
        ),
    ),
    Preset(
        name="mlm",
        operation="mask_units",
        summary="The masked language model objective; the same as random.",
        law="That of `random`.",
        source="Devlin et al. 2019, BERT",
        deviations=("Those of `random`.",),
    ),
    Preset(
        name="bert",
        operation="mask_units",
        parameters={"count_special": True, "at_most": 20},
        summary="Random tokens with the budget of BERT's original program.",
        law="Of a row with n tokens, [CLS] and [SEP] included, min(20, max(1, round(0.15 n))) "
        "text tokens are selected, every set equally likely; 80/10/10 per token.",
        source="google-research/bert, create_pretraining_data.py, at 128 tokens",
        deviations=("Random tokens are ordinary ids.",),
    ),
    Preset(
        name="bernoulli",
        operation="mask_units",
        parameters={"selection": "bernoulli"},
        summary="Each token on its own; the number per row varies, and may be 0.",
        law="Every text token is selected with probability 0.15, independently; 80/10/10.",
        source="Hugging Face transformers, DataCollatorForLanguageModeling",
        deviations=("Random tokens are ordinary ids.",),
    ),
    Preset(
        name="roberta",
        operation="mask_units",
        parameters={"rounding": "stochastic", "at_least": 0},
        summary="Random tokens with a randomly rounded budget.",
        law="Of a row with n text tokens, floor(0.15 n + U) are selected, U uniform in [0, 1), "
        "every set equally likely; 80/10/10 per token.",
        source="Liu et al. 2019, RoBERTa; fairseq, mask_tokens_dataset.py",
        deviations=(
            "<s> and </s> are neither counted nor selected.",
            "A new mask in every epoch; fairseq's seeds repeat within an epoch, these do not.",
        ),
    ),
)

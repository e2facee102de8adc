"""The objectives' rows of the table of presets: what each promises, and where it deviates."""

from __future__ import annotations

from premask.masking._preset import Preset

_BORDERS = "Nothing that is hidden as one crosses a special token or a document's start."
_SPECIALS = "Special tokens are never noise."
_TEXT_BUDGET = "Rates count text alone; sources count special tokens as well."
_ORDINARY = "Random tokens are ordinary ids; sources draw from the whole vocabulary."

PRESETS: tuple[Preset, ...] = (
    Preset(
        name="clm",
        operation="clm",
        summary="Next-token prediction over whole rows.",
        law="Every token of a row is a label, unshifted; padding is -100.",
        source="Radford et al. 2018",
        deviations=(
            "EOS is a label where the tokenizer pads with it: padding is told by length.",
        ),
    ),
    Preset(
        name="prefix_lm",
        operation="prefix_lm",
        summary="The end of a row is predicted from its beginning.",
        law="The prefix of n text tokens has 1 to n-1 of them, uniformly (rate 0.5).",
        source="Raffel et al., JMLR 2020; random_prefix_noise_mask",
        deviations=(_SPECIALS, "A row of one text token has no text to predict."),
    ),
    Preset(
        name="span_corruption",
        operation="span_corruption",
        summary="Random spans become sentinels; the targets spell them out.",
        law="clamp(round(0.15 n), 1, n-1) of n text tokens in max(1, round(noise / 3)) spans; "
        "all masks of these numbers that begin kept and end hidden are equally likely.",
        source="Raffel et al., JMLR 2020; random_spans_noise_mask",
        deviations=(
            _SPECIALS,
            _BORDERS,
            "Masks of one span are rolled by a uniform offset; T5's always hide the row's end "
            "(t5_compat: true).",
            "Spans are limited to the kept tokens where T5's code fails.",
            "Too few sentinels are an error; published code runs into ordinary ids.",
        ),
    ),
    Preset(
        name="ul2",
        operation="ul2",
        summary="A mixture of span corruptions: regular, sequential and extreme.",
        law="Every row draws one of seven denoisers, each equally likely: R (mean 3, rate .15) "
        "and (8, .15); S the last quarter; X (3, .5), (8, .5), (64, .15), (64, .5).",
        source="Tay et al., ICLR 2023",
        deviations=(
            _SPECIALS,
            _BORDERS,
            "R and X masks of one span are rolled, or they would be S masks.",
            "S has a sentinel between prefix and suffix, as every other denoiser.",
            "No mode token unless mode_tokens gives their ids.",
        ),
    ),
    Preset(
        name="denoising",
        operation="denoising",
        summary="Shuffled sentences and infilled spans; the targets are the whole row.",
        law="All sentences of a segment in uniformly random order; span lengths Poisson(3.5) "
        "until they sum to ceil(0.3 words), at distinct uniform words, one mask each.",
        source="Lewis et al., ACL 2020; fairseq DenoisingDataset",
        deviations=(
            _SPECIALS,
            _BORDERS,
            _ORDINARY,
            "Sentence starts are those of the annotation, not full stops.",
            "Spans of length zero never make a row longer than it was.",
            "Inserted masks are random tokens independently, not an exact share of them.",
        ),
    ),
    Preset(
        name="gap_sentences",
        operation="gap_sentences",
        summary="The most summarising sentences are hidden; the targets are these sentences.",
        law="min(max(int(0.3 n), 1), n) of n sentences, the best by stored ROUGE rank; each is "
        "masked with probability 0.9.",
        source="Zhang et al., ICML 2020; pegasus sentence_selection",
        deviations=(
            "The ratio is fixed, or drawn per row (lowest_ratio); the source's noise depends "
            "on the sentence's number alone.",
            "No masked language model on the remaining sentences.",
            "Sentences without a rank come last.",
        ),
    ),
    Preset(
        name="mass",
        operation="mass",
        summary="A contiguous half of a row is hidden and generated.",
        law="One window of floor(0.5 n) tokens per document in a row, its start uniform; "
        "80% [MASK], 10% random, 10% kept.",
        source="Song et al., ICML 2019",
        deviations=(_SPECIALS, _BORDERS, _ORDINARY),
    ),
    Preset(
        name="future_ngram",
        operation="future_ngram",
        summary="A hidden fragment is generated, two tokens ahead at every step.",
        law="One window of floor(0.15 n) tokens per block of 64, its start uniform; stream i "
        "has no label for the first i tokens of a fragment.",
        source="Qi et al., Findings of EMNLP 2020",
        deviations=(_SPECIALS, _BORDERS, _ORDINARY),
    ),
    Preset(
        name="permutation",
        operation="permutation",
        summary="Spans are predicted in a random order of factorisation.",
        law="Spans of 1 to 5 tokens, uniformly, at a uniform place in contexts of 6 times "
        "their length; a uniformly random order of all targets of a row.",
        source="Yang et al., NeurIPS 2019; Hugging Face's permutation collator",
        deviations=(
            "Contexts are laid over text alone.",
            "The order is one permutation of the row, not the same one for both halves.",
            "Special tokens see no target, so none leaks through them.",
            "Rows may have any length.",
        ),
    ),
    Preset(
        name="replaced_token",
        operation="replaced_token",
        summary="A generator's masks, and what a discriminator needs beside them.",
        law="max(1, round(0.15 n)) of n text tokens, all subsets equally likely; 85% [MASK], "
        "15% kept.",
        source="Clark et al., ICLR 2020",
        deviations=(
            _SPECIALS,
            _TEXT_BUDGET,
            "Positions are drawn without replacement; the source masks 14.0% for 15%.",
        ),
    ),
    Preset(
        name="fill_in_middle",
        operation="fill_in_middle",
        summary="A document's middle is moved behind its end, between sentinels.",
        law="With probability 0.5 two independent uniform cuts; prefix-suffix-middle or "
        "suffix-prefix-middle, each with probability 0.5.",
        source="Bavarian et al. 2022",
        deviations=(
            "Cuts fall between tokens, not characters.",
            "A row grows by its three sentinels; nothing is cut off.",
            "In a row of several documents one is rearranged.",
        ),
    ),
    Preset(
        name="seq2seq",
        operation="seq2seq",
        summary="Pairs of a source and a target: translation, summarisation.",
        law="The source is the input, the target the labels; nothing is random.",
        source="Sutskever et al., NeurIPS 2014; Hugging Face's sequence-to-sequence collator",
        deviations=("Sides are padded on the right.",),
    ),
)

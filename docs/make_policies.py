"""Writes ``docs/policies.md`` from the table of presets. Deterministic; takes two seconds.

::

    python docs/make_policies.py
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from policy_examples import example
from policy_rows import binding
from premask import Policy, PolicyError, policy
from premask.masking._operation import Parameter
from premask.masking._preset import Preset
from premask.masking.objectives import PRESETS as OBJECTIVES
from premask.masking.operations import OPERATIONS
from premask.masking.presets_composite import COMPOSITE_PRESETS
from premask.masking.presets_spans import SPAN_PRESETS
from premask.masking.presets_tokens import TOKEN_PRESETS
from premask.masking.presets_units import UNIT_PRESETS
from premask.masking.presets_weights import WEIGHT_PRESETS
from premask.masking.weight_laws import LAWS
from premask.pipeline.describe import (
    allowed,
    as_yaml,
    needs_collocations,
    needs_pairs,
    parameters_of,
    short_needs,
    tracks_needed,
)
from premask.stages.freeze import check_freezable

PAGE = Path(__file__).resolve().parent / "policies.md"
_PRESET = {preset.name: preset for preset in OBJECTIVES}
GROUPS: Mapping[str, tuple[str, tuple[Preset, ...]]] = {
    "Single tokens": ("Masked language models: any token, whatever it means.", TOKEN_PRESETS),
    "Whole units": ("What belongs together is masked together.", UNIT_PRESETS),
    "Spans": ("Runs of words, drawn anywhere.", SPAN_PRESETS),
    "Preferences": ("Some words are masked more often than others.", WEIGHT_PRESETS),
    "Combinations": ("Policies made of policies.", COMPOSITE_PRESETS),
    "Sequences to sequences": (
        "Targets are a sequence of their own, for encoders with decoders.",
        tuple(
            _PRESET[name]
            for name in (
                *("span_corruption", "ul2", "denoising", "gap_sentences", "mass"),
                *("future_ngram", "prefix_lm", "seq2seq"),
            )
        ),
    ),
    "Other objectives": (
        "Decoders alone, and encoders with objectives of their own.",
        tuple(
            _PRESET[name] for name in ("clm", "fill_in_middle", "permutation", "replaced_token")
        ),
    ),
}
_SHARED = ("mask_units", "mask_spans", "mask_ngrams")
_HEAD = """\
# Policies

A policy says what to do to a row of tokens: what is hidden, what stands in its place, and what
is to be predicted. It is data; a mask is a pure function of the row's seed, the epoch and the
policy, with the same bits in every batch, on every backend, loaded or frozen.

```python
policy = premask.policy("whole_word", rate=0.2)  # a preset, with a change
loader = premask.Loader("out/", policy=policy)
loader = premask.Loader("out/", policy="my_policy.yaml")  # preset: whole_word, rate: 0.2
```

```
premask policies                                    # this list, in the terminal
premask policies span                               # one of them, with all parameters
premask show out --row 5 --policy span --set rate=0.3
premask freeze out static --policy span --epochs 10
```

Each preset is one line of a table: an operation and the parameters that it changes. The law
says what comes out, as exactly as a sentence can; *deviations* are where it leaves its source
on purpose. The examples below are made by really running the preset, with its own defaults, in
the first epoch that has something to show. In an example, `[MASK]` hides the target below it;
a target below its own word was left as it is, and one below another word was replaced at
random. `·` is not predicted. Rows are short, so budgets are small: 15 % of 18 tokens are 3.

This page is written by `docs/make_policies.py`.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD, *_contents()]
    for title, (what, presets) in GROUPS.items():
        parts += [f"## {title}\n", f"{what}\n"]
        for preset in presets:
            parts += _section(preset)
    parts += _reference()
    return "\n".join(parts).rstrip() + "\n"


def _contents() -> Iterator[str]:
    for title, (_, presets) in GROUPS.items():
        yield f"**{title}**\n"
        yield "| preset | what it does | rows need |"
        yield "|---|---|---|"
        for preset in presets:
            needs = short_needs(policy(preset.name))
            yield f"| [`{preset.name}`](#{preset.name}) | {preset.summary} | {needs} |"
        yield ""


def _section(preset: Preset) -> Iterator[str]:
    chosen = policy(preset.name)
    yield f"### {preset.name}\n"
    yield f"{preset.summary}\n"
    yield f"{_example_note(chosen)}{example(chosen)}\n"
    yield f"- **Law.** {_plain(preset.law)}"
    yield f"- **Source.** {_plain(preset.source)}."
    needs = "; ".join(_needs(chosen))
    yield f"- **Needs.** {needs[0].upper() + needs[1:]}." if needs else "- **Needs.** Tokens."
    yield f"- **Gives.** {', '.join(f'`{name}`' for name in chosen.outputs)}."
    yield f"- **Freezing.** {_freezing(chosen)}"
    if preset.deviations:
        yield "- **Deviations.**"
        yield from (f"  - {_plain(deviation)}" for deviation in preset.deviations)
    yield from _parameters(preset)
    yield ""


_FEEDBACK = """\
```python
for batch in loader:
    losses = ...  # of every token, from the model
    loader.update(batch["labels"], losses)
loader.snapshot()  # the weights of the epochs to come; loader.state_dict() carries them all
```

After losses of 6 for *program* and *machine*, and 1 for all else:

"""


def _plain(text: str) -> str:
    """Text whose signs mean themselves, and not what Markdown makes of them."""
    for sign in ("*", "<"):
        text = text.replace(sign, f"\\{sign}")
    return text


def _example_note(chosen: Policy) -> str:
    if chosen.takes_feedback:
        return _FEEDBACK
    return ""


def _parameters(preset: Preset) -> Iterator[str]:
    operation = preset.operation
    changed = ", ".join(f"`{k}: {as_yaml(v)}`" for k, v in preset.parameters.items())
    if operation in _SHARED:
        which = f", with {changed}" if changed else ", with its defaults"
        yield f"- **Parameters.** Those of [`{operation}`](#operation-{operation}){which}."
        return
    yield "- **Parameters.**\n"
    yield from _table(parameters_of(policy(preset.name)), preset.parameters)


def _table(
    parameters: Mapping[str, Parameter], changed: Mapping[str, Any] | None = None
) -> Iterator[str]:
    yield "| parameter | default | allowed | what |"
    yield "|---|---|---|---|"
    for name, parameter in parameters.items():
        default = as_yaml((changed or {}).get(name, parameter.default))
        cells = (f"`{name}`", f"`{default}`", _allowed(parameter), parameter.help)
        yield f"| {' | '.join(cells)} |"


def _allowed(parameter: Parameter) -> str:
    words = allowed(parameter)
    if parameter.choices is not None:
        return ", ".join(f"`{word}`" for word in words)
    if parameter.variants is not None:
        return ", ".join(f"[`{word}`](#weights)" for word in words)
    return ", ".join(words)


def _needs(chosen: Policy) -> Iterator[str]:
    """What rows, tables and the vocabulary must have, and how it comes about."""
    if needs_pairs(chosen):
        yield "rows of pairs, a source and its target"
    if tracks := ", ".join(tracks_needed(chosen)):
        yield f"annotation: `annotate: {{tracks: [{tracks}]}}`"
    if needs_collocations(chosen):
        yield "the table of `collocations: {}` in the job"
    elif not _binds(chosen, tables={}):
        yield "the set's table of counts, which every build writes"
    yield from _tokens_needed(chosen)


def _tokens_needed(chosen: Policy) -> Iterator[str]:
    vocabulary = binding().vocabulary
    if not _binds(chosen, vocabulary=dataclasses.replace(vocabulary, mask_id=None)):
        yield "a mask token"
    if not _binds(chosen, vocabulary=dataclasses.replace(vocabulary, sentinel_ids=())):
        yield "sentinels (`<extra_id_0>`, ...) in the tokenizer"


def _binds(chosen: Policy, **changes: Any) -> bool:
    try:
        chosen.bind(dataclasses.replace(binding(), **changes))
    except PolicyError:
        return False
    return True


def _freezing(chosen: Policy) -> str:
    try:
        check_freezable(chosen)
    except PolicyError as error:
        reason = str(error).partition("cannot be frozen: ")[2].partition(" - at ")[0]
        return f"No: {reason}."
    return "Yes."


def _reference() -> Iterator[str]:
    yield "## Operations\n"
    yield "The parameters that presets of masked language models share.\n"
    for name in _SHARED:
        yield f"### Operation {name}\n"
        yield from _table(OPERATIONS[name].parameters)
        yield ""
    yield "## Weights\n"
    yield "What `weights` may list; several laws are multiplied.\n"
    yield "```yaml"
    yield "preset: whole_word"
    yield "weights: [{by: inverse_power, alpha: 0.3}, {by: pos, weights: {NOUN: 4, VERB: 2}}]"
    yield "```\n"
    yield "| law | weight | parameters |"
    yield "|---|---|---|"
    for name, law in LAWS.items():
        parameters = "; ".join(
            f"`{key}` ({as_yaml(p.default)}): {p.help}" for key, p in law.parameters.items()
        )
        yield f"| `{name}` | {_plain(law.summary)} | {parameters} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

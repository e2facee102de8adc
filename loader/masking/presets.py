"""The table of presets: every policy with a name. Data only."""

from __future__ import annotations

from collections.abc import Mapping

from premask.masking import objectives
from premask.masking._preset import Preset
from premask.masking.presets_spans import SPAN_PRESETS
from premask.masking.presets_tokens import TOKEN_PRESETS
from premask.masking.presets_units import UNIT_PRESETS
from premask.masking.presets_weights import WEIGHT_PRESETS

_OBJECTIVES = getattr(objectives, "PRESETS", {})


def _by_name(*presets: Preset) -> dict[str, Preset]:
    return {preset.name: preset for preset in presets}


PRESETS: Mapping[str, Preset] = {
    **_by_name(*TOKEN_PRESETS, *UNIT_PRESETS, *SPAN_PRESETS, *WEIGHT_PRESETS),
    **_by_name(*(_OBJECTIVES.values() if isinstance(_OBJECTIVES, Mapping) else _OBJECTIVES)),
}

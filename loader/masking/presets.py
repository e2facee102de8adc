"""The table of presets: every policy with a name. Data only."""

from __future__ import annotations

from collections.abc import Mapping

from premask.masking._preset import Preset
from premask.masking.objectives import PRESETS as OBJECTIVES
from premask.masking.presets_composite import COMPOSITE_PRESETS
from premask.masking.presets_spans import SPAN_PRESETS
from premask.masking.presets_tokens import TOKEN_PRESETS
from premask.masking.presets_units import UNIT_PRESETS
from premask.masking.presets_weights import WEIGHT_PRESETS

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        *TOKEN_PRESETS,
        *UNIT_PRESETS,
        *SPAN_PRESETS,
        *WEIGHT_PRESETS,
        *COMPOSITE_PRESETS,
        *OBJECTIVES,
    )
}

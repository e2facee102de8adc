"""Premask: prepare a corpus once, train any objective, replay any mask.

>>> import premask                                                    # doctest: +SKIP
>>> shards = premask.open_shards("out/")                              # doctest: +SKIP
>>> policy = premask.policy("whole_word", rate=0.15)                  # doctest: +SKIP
>>> for batch in premask.Loader(shards, policy=policy, batch_size=64):  # doctest: +SKIP
...     batch["input_ids"], batch["attention_mask"], batch["labels"]

This package is light: it needs NumPy and pyarrow, and loads torch or JAX only when asked for
their arrays. Preparing corpora is `premask.pipeline`.
"""

from premask._errors import FormatError as FormatError
from premask._errors import PolicyError as PolicyError
from premask._errors import PremaskError as PremaskError
from premask._errors import RequestError as RequestError
from premask._errors import UnitError as UnitError
from premask._format import Boundary as Boundary
from premask._version import __version__ as __version__
from premask.collator import MaskCollator as MaskCollator
from premask.loader import Loader as Loader
from premask.manifest import Manifest as Manifest
from premask.masking._operation import Binding as Binding
from premask.masking._rows import PaddedRows as PaddedRows
from premask.masking._rows import Vocabulary as Vocabulary
from premask.masking.apply import apply_policy as apply_policy
from premask.masking.policy import Policy as Policy
from premask.masking.policy import policy as policy
from premask.mixture import Mixture as Mixture
from premask.rows import Rows as Rows
from premask.rows import make_rows as make_rows
from premask.shards import ShardSet as ShardSet
from premask.shards import open_shards as open_shards

__all__ = [
    "Binding",
    "Boundary",
    "FormatError",
    "Loader",
    "Manifest",
    "MaskCollator",
    "Mixture",
    "PaddedRows",
    "Policy",
    "PolicyError",
    "PremaskError",
    "RequestError",
    "Rows",
    "ShardSet",
    "UnitError",
    "Vocabulary",
    "__version__",
    "apply_policy",
    "make_rows",
    "open_shards",
    "policy",
]

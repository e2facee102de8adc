"""All targets by name."""

from tests.fuzz import readers, requests, shards, tables, tokenizers
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    **readers.TARGETS,
    **tables.TARGETS,
    **requests.TARGETS,
    **shards.TARGETS,
    **tokenizers.TARGETS,
}

"""What the ids of a tokenizer mean: special roles, template, and the ids open to replacement.

Roles come from ``tokenizer_config.json`` where there is one, else from the spellings that the
model families use. The template around a row is read off the tokenizer's own behaviour: a
probe is encoded and the marked tokens on both sides are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from premask._errors import RequestError
from premask.masking._rows import Vocabulary
from premask.stages.tokenizer_words import is_byte_piece
from tokenizers import Tokenizer

# In order of preference. GPT-2 has one token for all; RoBERTa's <s> and </s> are also its CLS
# and SEP, which the template shows.
_SPELLINGS = {
    "pad": ("[PAD]", "<pad>", "<|padding|>", "<|pad|>", "<PAD>", "[pad]"),
    "mask": ("[MASK]", "<mask>", "<|mask|>", "<MASK>"),
    "cls": ("[CLS]", "<cls>", "<CLS>"),
    "sep": ("[SEP]", "<sep>", "<SEP>"),
    "bos": ("<s>", "[BOS]", "<bos>", "<|begin_of_text|>", "<|endoftext|>"),
    "eos": ("</s>", "[EOS]", "<eos>", "<|end_of_text|>", "<|endoftext|>"),
    "unk": ("[UNK]", "<unk>", "<|unk|>", "<UNK>"),
}
ROLES = tuple(_SPELLINGS)
_SENTINEL = re.compile(r"<extra_id_(\d+)>")
_PLACEHOLDER = re.compile(r"\[unused\d+\]|<unused_?\d+>|madeupword\d{4}")


def describe_vocabulary(
    tokenizer: Tokenizer, model: Mapping[str, Any], config: Mapping[str, Any], *, location: str
) -> Vocabulary:
    """The vocabulary of a tokenizer.

    Args:
        tokenizer: as loaded from its tokenizer.json.
        model: the ``model`` part of that file.
        config: what tokenizer_config.json says; empty without one.

    Raises:
        RequestError: nothing but special and unknown tokens are in it, two tokens share an id,
            or a role of `config` names a token that is not there.
    """
    ids: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    _refuse_shared_ids(ids, location)
    added = tokenizer.get_added_tokens_decoder()
    roles = _roles(ids, {token.content for token in added.values()}, config, location)
    roles["unk"] = _unknown_id(ids, model, roles)
    prefix, suffix = _template(tokenizer)
    _complete_roles(roles, prefix, suffix)
    sentinels = _sentinels(ids)
    named = (*prefix, *suffix, *sentinels, *roles.values())
    specials = {i for i, token in added.items() if token.special}
    specials |= {i for i in named if i is not None}
    specials -= {roles["unk"]}
    ranges = _ranges(_ordinary(ids) - specials - {roles["unk"]})
    if not ranges:
        raise RequestError(
            f"the tokenizer knows {len(ids)} tokens and none of them is text, so every word "
            "would become the unknown token; give its full vocabulary",
            location=location,
        )
    return Vocabulary(
        size=max(ids.values()) + 1,
        special_ids=tuple(sorted(specials)),
        sentinel_ids=tuple(sentinels),
        prefix_ids=prefix,
        suffix_ids=suffix,
        replacement_ranges=ranges,
        **{f"{role}_id": token_id for role, token_id in roles.items()},
    )


def _ordinary(ids: Mapping[str, int]) -> set[int]:
    """All ids but placeholders and byte-fallback pieces."""
    return {
        i
        for token, i in ids.items()
        if not _PLACEHOLDER.fullmatch(token) and not is_byte_piece(token)
    }


def _roles(
    ids: Mapping[str, int], added: set[str], config: Mapping[str, Any], location: str
) -> dict[str, int | None]:
    roles: dict[str, int | None] = {}
    for role, spellings in _SPELLINGS.items():
        named = config.get(f"{role}_token")
        token = named.get("content") if isinstance(named, dict) else named
        if token and token not in ids:
            raise RequestError(
                f"tokenizer_config.json names {token!r} as {role}_token, "
                "which the vocabulary lacks; use the files of one model",
                location=location,
            )
        # A plain piece that merely looks the part counts only where no added token does.
        known = [s for s in spellings if s in added] or [s for s in spellings if s in ids]
        roles[role] = ids[token] if token else ids[known[0]] if known else None
    return roles


def _refuse_shared_ids(ids: Mapping[str, int], location: str) -> None:
    """Which of two tokens an id means would depend on the order of a hash table."""
    if len(set(ids.values())) == len(ids):
        return
    owners: dict[int, str] = {}
    for token, token_id in sorted(ids.items()):
        if (owner := owners.setdefault(token_id, token)) != token:
            raise RequestError(
                f"the tokens {owner!r} and {token!r} share the id {token_id}; give every token "
                "an id of its own",
                location=location,
            )


def _unknown_id(
    ids: Mapping[str, int], model: Mapping[str, Any], roles: Mapping[str, int | None]
) -> int | None:
    """The id of unknown characters: the model's own, else the role's unless it has another."""
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    if model.get("unk_token") in ids:
        return ids[model["unk_token"]]
    others = {roles[role] for role in ROLES if role != "unk"}
    return None if roles["unk"] in others else roles["unk"]


def _template(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids that the tokenizer puts before and behind a text."""
    encoding = tokenizer.encode("a")
    marked = [bool(mark) for mark in encoding.special_tokens_mask]
    if all(marked):
        return (), ()
    first, last = marked.index(False), len(marked) - marked[::-1].index(False)
    return tuple(encoding.ids[:first]), tuple(encoding.ids[last:])


def _complete_roles(
    roles: dict[str, int | None], prefix: tuple[int, ...], suffix: tuple[int, ...]
) -> None:
    """Where a row is wrapped in BOS and EOS (RoBERTa, BART), they are its CLS and SEP."""
    wrapped = (roles["bos"],) == prefix and (roles["eos"],) == suffix
    if wrapped and roles["cls"] is None and roles["sep"] is None:
        roles["cls"], roles["sep"] = roles["bos"], roles["eos"]


def _sentinels(ids: Mapping[str, int]) -> list[int]:
    """Ids of ``<extra_id_0>``, ``<extra_id_1>``, ... by their number."""
    found = ((_SENTINEL.fullmatch(token), i) for token, i in ids.items())
    return [i for _, i in sorted((int(match[1]), i) for match, i in found if match)]


def _ranges(ordinary: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Half-open ranges that hold exactly these ids."""
    return tuple(_runs(sorted(ordinary)))


def _runs(ids: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or ids[i] != ids[i - 1] + 1:
            yield ids[start], ids[i - 1] + 1
            start = i

"""SentencePiece ``.model`` files as the content of a tokenizer.json.

A ``.model`` is a protocol buffer; the few fields that matter are read straight from the wire
format (developers.google.com/protocol-buffers, "Encoding"). Unigram models carry over whole.
BPE models get their merges back from the scores: of all ways to join a piece from two others,
in the order of the joined pieces' ranks. Word and character models are refused.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from premask._errors import RequestError

METASPACE = "▁"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_UNIGRAM, _BPE = 1, 2
_NUM_T5_SENTINELS = 100
_MAX_SENTINELS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    text: str
    score: float
    kind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    pieces: list[_Piece]
    trainer: Mapping[int, Any]
    normalizer: Mapping[int, Any]

    def trainer_id(self, field: int, default: int) -> int:
        """A (possibly negative) id of the trainer's settings."""
        value = int(self.trainer.get(field, default))
        return value - (1 << 64) if value >> 63 else value


def sentencepiece_content(
    data: bytes, config: Mapping[str, Any], *, location: str
) -> dict[str, Any]:
    """The content of a tokenizer.json that holds a SentencePiece model.

    Raises:
        RequestError: the bytes are no SentencePiece model, or one that is neither Unigram nor
            BPE.
    """
    try:
        model = _parse(data)
    except (IndexError, ValueError, TypeError, OverflowError, struct.error) as error:
        raise RequestError(
            f"not a SentencePiece model: {error}; give the .model file itself",
            location=location,
        ) from error
    kind = int(model.trainer.get(3, _UNIGRAM))
    if kind not in (_UNIGRAM, _BPE) or not model.pieces:
        raise RequestError(
            f"a SentencePiece model of type {kind} with {len(model.pieces)} pieces; "
            "only Unigram (1) and BPE (2) are supported",
            location=location,
        )
    pieces = model.pieces + _sentinels(model, config)
    byte_fallback = any(piece.kind == BYTE for piece in pieces)
    unknown = next((i for i, p in enumerate(pieces) if p.kind == UNKNOWN), None)
    convert = _unigram if kind == _UNIGRAM else _bpe
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added(pieces, user_defined=kind == _BPE),
        "normalizer": _normalizer(model),
        "pre_tokenizer": _pre_tokenizer(model),
        "post_processor": _template(pieces),
        "decoder": _decoder(byte_fallback, dummy_prefix=bool(model.normalizer.get(3, 1))),
        "model": convert(pieces, unknown, byte_fallback),
    }


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Field numbers and values of one message: int, bytes (length-delimited) or float."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire = key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
        elif wire == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field runs beyond the end")
            yield key >> 3, data[position : position + length]
            position += length
        elif wire == 5:
            yield key >> 3, struct.unpack_from("<f", data, position)[0]
            position += 4
        elif wire == 1:
            position += 8
        else:
            raise ValueError(f"wire type {wire}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("a number is too long")


def _parse(data: bytes) -> _Model:
    pieces: list[_Piece] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(data):
        if number in (1, 2, 3) and not isinstance(value, bytes):
            raise ValueError(f"field {number} is no message")
        if number == 1:
            piece = dict(_fields(value))
            pieces.append(
                _Piece(
                    text=_of(bytes, piece.get(1, b"")).decode(),
                    score=float(piece.get(2, 0.0)),
                    kind=int(piece.get(3, NORMAL)),
                )
            )
        elif number == 2:
            trainer = {field: x for field, x in _fields(value) if isinstance(x, int)}
        elif number == 3:
            normalizer = dict(_fields(value))
            _of(bytes, normalizer.get(2, b""))
    return _Model(pieces=pieces, trainer=trainer, normalizer=normalizer)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a field is of type {type(value).__name__}, not {kind.__name__}")
    return value


def _sentinels(model: _Model, config: Mapping[str, Any]) -> list[_Piece]:
    """T5's sentinels, which its model file lacks: the highest number first."""
    # pad 0, eos 1, unk 2 and no bos: the layout of T5 and mT5, and of nothing else.
    ids = [model.trainer_id(field, default) for field, default in _ROLE_FIELDS]
    number = config.get("extra_ids", _NUM_T5_SENTINELS if ids == [2, -1, 1, 0] else 0)
    if type(number) is not int or not 0 <= number <= _MAX_SENTINELS:
        raise RequestError(
            f"extra_ids {str(number)[:80]!r} in tokenizer_config.json; it goes from 0 to "
            f"{_MAX_SENTINELS}",
            location="tokenizer_config.json",
        )
    known = {piece.text for piece in model.pieces}
    names = [f"<extra_id_{i}>" for i in reversed(range(number))]
    return [_Piece(text=n, score=0.0, kind=CONTROL) for n in names if n not in known]


_ROLE_FIELDS = ((40, 0), (41, 1), (42, 2), (43, -1))  # unk, bos, eos, pad


def _unigram(pieces: list[_Piece], unknown: int | None, byte_fallback: bool) -> dict[str, Any]:
    best = max((piece.score for piece in pieces if piece.kind == NORMAL), default=0.0)
    return {
        "type": "Unigram",
        "unk_id": unknown,
        "vocab": [[piece.text, _score(piece, best)] for piece in pieces],
        "byte_fallback": byte_fallback,
    }


def _score(piece: _Piece, best: float) -> float:
    """The piece's score; of a user-defined one, what SentencePiece puts in its place."""
    return len(piece.text) * best - 0.1 if piece.kind == USER_DEFINED else piece.score


def _bpe(pieces: list[_Piece], unknown: int | None, byte_fallback: bool) -> dict[str, Any]:
    rank = {p.text: i for i, p in enumerate(pieces) if p.kind in (NORMAL, USER_DEFINED)}
    merges: list[tuple[float, int, int, str, str]] = []
    for text, i in rank.items():
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in rank and right in rank:
                merges.append((-pieces[i].score, rank[left], rank[right], left, right))
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None if unknown is None else pieces[unknown].text,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": byte_fallback,
        "vocab": {piece.text: i for i, piece in enumerate(pieces)},
        "merges": [[left, right] for *_, left, right in sorted(merges)],
    }


def _added(pieces: list[_Piece], *, user_defined: bool) -> list[dict[str, Any]]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return [
        {"id": i, "content": piece.text, **flags, "special": piece.kind != USER_DEFINED}
        for i, piece in enumerate(pieces)
        if piece.kind in (UNKNOWN, CONTROL) or (user_defined and piece.kind == USER_DEFINED)
    ]


def _normalizer(model: _Model) -> dict[str, Any] | None:
    charsmap = model.normalizer.get(2, b"")
    if not charsmap:
        return None
    encoded = base64.b64encode(charsmap).decode()
    return {"type": "Precompiled", "precompiled_charsmap": encoded}


def _pre_tokenizer(model: _Model) -> dict[str, Any]:
    # Pieces that span words (llama has runs of blanks) need the text in one go.
    inner = any(METASPACE in p.text[1:] for p in model.pieces if p.kind == NORMAL)
    whole = inner or not model.normalizer.get(4, 1)
    scheme = "first" if whole else "always"
    scheme = scheme if model.normalizer.get(3, 1) else "never"
    metaspace = {
        "type": "Metaspace",
        "replacement": METASPACE,
        "prepend_scheme": scheme,
        "split": not whole,
    }
    if whole:
        return metaspace
    return {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}


def _decoder(byte_fallback: bool, *, dummy_prefix: bool) -> dict[str, Any]:
    metaspace = {
        "type": "Metaspace",
        "replacement": METASPACE,
        "prepend_scheme": "always" if dummy_prefix else "never",
        "split": True,
    }
    if not byte_fallback:
        return metaspace
    return {
        "type": "Sequence",
        "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, metaspace],
    }


def _template(pieces: list[_Piece]) -> dict[str, Any] | None:
    """The template of the family that the control pieces show: ALBERT, XLNet, T5 or none."""
    ids = {p.text: i for i, p in enumerate(pieces) if p.kind in (CONTROL, USER_DEFINED)}
    if {"[CLS]", "[SEP]"} <= ids.keys():
        order = ["[CLS]", "A", "[SEP]"]
    elif {"<cls>", "<sep>"} <= ids.keys():
        order = ["A", "<sep>", "<cls>"]
    elif "</s>" in ids and "<s>" not in ids:
        order = ["A", "</s>"]
    elif "<s>" in ids and any(piece.kind == BYTE for piece in pieces):
        order = ["<s>", "A"]
    else:
        return None
    return template(order, ids)


def template(order: list[str], ids: Mapping[str, int]) -> dict[str, Any]:
    """A template processor: special tokens in `order` around ``"A"``.

    A pair repeats all that follows the first text behind the second, with type 1.
    """

    def item(name: str, sequence: str, type_id: int) -> dict[str, Any]:
        if name == "A":
            return {"Sequence": {"id": sequence, "type_id": type_id}}
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    single = [item(name, "A", 0) for name in order]
    second = [item(name, "B", 1) for name in order[order.index("A") :]]
    specials = {
        name: {"id": name, "ids": [ids[name]], "tokens": [name]}
        for name in order
        if name != "A"
    }
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": single + second,
        "special_tokens": specials,
    }

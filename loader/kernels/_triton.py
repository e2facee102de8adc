"""Kernels for the GPU, in Triton: one program per row, from compact columns to the batch.

The bits are those of the reference. What differs is the way to them: a row is one block of
registers, so nothing is sorted and nothing gathered. All tokens of a unit compute the key of
their unit by themselves; the budget becomes a level of keys, found bit by bit with 31 sums over
the block; the few units about it are then tried in order.

Importing this module imports Triton.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Names that kernels read; they are part of what is compiled.
_NEVER = tl.constexpr(2**31 - 1)
_IGNORE = tl.constexpr(-100)
_SKIP, _STOP = tl.constexpr(0), tl.constexpr(1)
_UNDER, _CUT = tl.constexpr(2), tl.constexpr(3)
_WHOLE, _PART = tl.constexpr(0), tl.constexpr(1)
_SELECT, _ROW = tl.constexpr(0), tl.constexpr(3)
_DOCUMENT = tl.constexpr(8)


@triton.jit
def _turn(x, y, bits: tl.constexpr):
    x = x + y
    return x, ((y << bits) | (y >> (32 - bits))) ^ x


@triton.jit
def _odd(x, y):
    x, y = _turn(x, y, 13)
    x, y = _turn(x, y, 15)
    x, y = _turn(x, y, 26)
    return _turn(x, y, 6)


@triton.jit
def _even(x, y):
    x, y = _turn(x, y, 17)
    x, y = _turn(x, y, 29)
    x, y = _turn(x, y, 16)
    return _turn(x, y, 24)


@triton.jit
def block(high, low, first, second):
    """Threefry-2x32-20 of uint32: see `premask.masking.threefry`."""
    third = high ^ low ^ 0x1BD11BDA
    x, y = _odd(first + high, second + low)
    x, y = _even(x + low, y + third + 1)
    x, y = _odd(x + third, y + high + 2)
    x, y = _even(x + high, y + low + 3)
    x, y = _odd(x + low, y + third + 4)
    return x + third, y + high + 5


@triton.jit
def _words(high, low, place, stream: tl.constexpr):
    """Two 31-bit words of each place, int32."""
    counter = place.to(tl.uint32)
    x, y = block(high, low, counter, counter * 0 + stream)
    return (x >> 1).to(tl.int32), (y >> 1).to(tl.int32)


@triton.jit
def _row_key(seeds, epochs, row, policy_word):
    high = tl.load(seeds + 2 * row).to(tl.uint32, bitcast=True)
    low = tl.load(seeds + 2 * row + 1).to(tl.uint32, bitcast=True)
    epoch = tl.load(epochs + row).to(tl.uint32, bitcast=True)
    word = tl.load(policy_word).to(tl.uint32, bitcast=True)
    return block(high, low, word, epoch)


@triton.jit
def _load_tokens(ids, at, here, NARROW: tl.constexpr):
    token = tl.load(ids + at, mask=here, other=0).to(tl.int32)
    # torch has no unsigned numbers of 16 bits: they come under their signed name.
    return token & 0xFFFF if NARROW else token


@triton.jit
def _opens(
    bits, before, text, OPENING: tl.constexpr, SPAN: tl.constexpr, OUTSIDE: tl.constexpr
):
    """Where units open; `before` is the position before, a special in front of the row."""
    inside, inside_before = (bits & SPAN) != 0, (before & SPAN) != 0
    border = ((before & 1) != 0) | ((bits & OPENING) != 0) | (inside != inside_before)
    return text & (border | ((inside == 0) & ((bits & OUTSIDE) != 0)))


@triton.jit
def _budget(budgets, carry, counted, high, low, place, law):
    """The budget of a row; `law` points at the table's end, and the lower and upper limit."""
    counted = tl.minimum(counted, tl.load(law))
    budget = tl.load(budgets + counted)
    first, _ = _words(high, low, place * 0, _ROW)
    level = tl.load(carry + counted)
    if tl.load(law + 3) != 0:
        budget += (tl.max(first) <= level).to(tl.int32)
        budget = tl.minimum(tl.maximum(budget, tl.load(law + 1)), tl.load(law + 2))
        budget = tl.where(counted == 0, 0, budget)
    return budget


@triton.jit
def _level(key, cost, budget):
    """The highest level up to which keys cost at most `budget` together; and what they cost."""
    low = budget * 0 - 1
    spent = budget * 0
    for turn in range(31):
        middle = low + (1 << (30 - turn))
        sum_ = tl.sum(tl.where(key <= middle, cost, 0))
        low = tl.where(sum_ <= budget, middle, low)
        spent = tl.where(sum_ <= budget, sum_, spent)
    return low, spent


@triton.jit
def _take_rest(
    key, cost, place, level, spent, budget, OVERFLOW: tl.constexpr, FALLBACK: tl.constexpr,
    BY_UNIT: tl.constexpr,
):  # fmt: skip
    """Which positions are selected (int32), once all keys up to `level` are."""
    chosen = (key <= level).to(tl.int32)
    left = budget - spent
    # With nothing taken, the first unit that was tried is the fallback.
    first = tl.min(key)
    following = tl.min(tl.where(key > level, key, _NEVER))
    while (left > 0) & (following < _NEVER):
        own = key == following
        price = tl.sum(tl.where(own, cost, 0))
        fits = (price <= left).to(tl.int32)
        if OVERFLOW == _CUT:
            last = tl.min(tl.where(own, place, _NEVER)) + left - 1
            own = own & (place <= tl.where(fits != 0, _NEVER, last))
        takes = fits if OVERFLOW < _UNDER else 1
        chosen = tl.maximum(chosen, own.to(tl.int32) * takes)
        left = left - takes * tl.minimum(price, left)
        if OVERFLOW == _STOP:
            left = left * fits
        following = tl.min(tl.where(key > following, key, _NEVER))
    if FALLBACK <= _PART:
        rescues = (first < _NEVER) & (budget > 0) & (tl.sum(chosen) == 0)
        own = key == first
        if (FALLBACK == _PART) and not BY_UNIT:
            own = own & (place < tl.min(tl.where(own, place, _NEVER - budget)) + budget)
        chosen = tl.maximum(chosen, own.to(tl.int32) * rescues.to(tl.int32))
    return chosen


@triton.jit
def _later(x, y):
    return tl.maximum(x, y)


@triton.jit
def _store(batch, size, at, place, count, width, ids, labels, PAD: tl.constexpr):
    """One row of the three outputs, which lie `size` elements apart."""
    here, inside = place < width, place < count
    tl.store(batch + at + place, tl.where(inside, ids, PAD), mask=here)
    tl.store(batch + size + at + place, inside.to(tl.int32), mask=here)
    tl.store(batch + 2 * size + at + place, tl.where(inside, labels, _IGNORE), mask=here)


@triton.jit
def mask_rows(
    ids, bounds, lengths, seeds, epochs, policy_word, budgets, carry, law, replacements,
    batch, stride, width, size,
    UNITS: tl.constexpr, RACES: tl.constexpr, UNTIL: tl.constexpr, BITS: tl.constexpr,
    OPENING: tl.constexpr, SPAN: tl.constexpr, OUTSIDE: tl.constexpr,
    BY_UNIT: tl.constexpr, COUNT_SPECIAL: tl.constexpr, OVERFLOW: tl.constexpr,
    FALLBACK: tl.constexpr, COHERENT: tl.constexpr, MASK_ID: tl.constexpr,
    MASK_UNTIL: tl.constexpr, RANDOM_UNTIL: tl.constexpr, LOWEST: tl.constexpr,
    NUM_REPLACEMENTS: tl.constexpr, PAD: tl.constexpr, NARROW: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """``mask_units`` on one row."""
    row = tl.program_id(0)
    count = tl.load(lengths + row).to(tl.int32)
    place = tl.arange(0, BLOCK)
    here = place < count
    at = row.to(tl.int64) * stride + place
    token = _load_tokens(ids, at, here, NARROW)
    bits = tl.load(bounds + at, mask=here, other=1).to(tl.int32)
    text = here & ((bits & 1) == 0)
    high, low = _row_key(seeds, epochs, row, policy_word)
    word, decision = _words(high, low, place, _SELECT)
    fresh = decision
    opens = text
    if UNITS:
        before = tl.load(bounds + at - 1, mask=here & (place > 0), other=1).to(tl.int32)
        opens = _opens(bits, before, text, OPENING, SPAN, OUTSIDE)
        ordinal = tl.cumsum(opens.to(tl.int32), 0) - 1
        word, _ = _words(high, low, ordinal, _SELECT)
    if RACES:
        if UNITS:
            key = (tl.minimum(word >> BITS, (1 << (31 - BITS)) - 2) << BITS) | ordinal
        else:
            key = ((word >> BITS) << BITS) | place
        cost = opens.to(tl.int32) if BY_UNIT else text.to(tl.int32)
        counted = count if COUNT_SPECIAL and not BY_UNIT else tl.sum(cost)
        budget = _budget(budgets, carry, counted, high, low, place, law)
        key = tl.where(text, key, _NEVER)
        level, spent = _level(key, cost, budget)
        if UNITS:
            taken = _take_rest(
                key, cost, place, level, spent, budget, OVERFLOW, FALLBACK, BY_UNIT
            )
            taken = text & (taken != 0)
        else:
            taken = text & (key <= tl.where(budget >= tl.sum(cost), _NEVER, level))
    else:
        taken = text & (word <= UNTIL)
    if COHERENT:
        start = tl.associative_scan(tl.where(opens, place, 0), 0, _later)
        _, decision = _words(high, low, start, _SELECT)
    masked = tl.where(taken & (decision <= MASK_UNTIL), MASK_ID, token)
    if RANDOM_UNTIL > MASK_UNTIL:
        redrawn = taken & (decision > MASK_UNTIL) & (decision <= RANDOM_UNTIL)
        index = tl.maximum(fresh - LOWEST, 0) % NUM_REPLACEMENTS
        random = tl.load(replacements + index, mask=redrawn, other=0)
        masked = tl.where(redrawn, random, masked)
    labels = tl.where(taken, token, _IGNORE)
    out = row.to(tl.int64) * width
    _store(batch, size, out, place, count, width, masked, labels, PAD)


@triton.jit
def copy_rows(
    ids, bounds, lengths, batch, stride, width, size, MASK_FIRST: tl.constexpr,
    PAD: tl.constexpr, NARROW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """``clm`` on one row."""
    row = tl.program_id(0)
    count = tl.load(lengths + row).to(tl.int32)
    place = tl.arange(0, BLOCK)
    here = place < count
    at = row.to(tl.int64) * stride + place
    token = _load_tokens(ids, at, here, NARROW)
    labels = token
    if MASK_FIRST:
        bits = tl.load(bounds + at, mask=here, other=1).to(tl.int32)
        text = (here & ((bits & 1) == 0)).to(tl.int32)
        begins = ((bits & _DOCUMENT) != 0) & (tl.cumsum(text, 0) - text > 0)
        labels = tl.where((place == 0) | begins, _IGNORE, token)
    _store(batch, size, row.to(tl.int64) * width, place, count, width, token, labels, PAD)

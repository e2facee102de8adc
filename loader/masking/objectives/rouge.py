"""Which sentences summarise a text: the scores that PEGASUS selects gap sentences by.

Law: Zhang et al. (ICML 2020), ROUGE-1 of a sentence against the rest of the text. Host code,
run once when rows are written; its ranks become the track ``sentence_ranks``. Cost: linear in
the words for ``independent``, times the number of sentences for ``greedy``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import Literal

Method = Literal["independent", "greedy"]
Measure = Literal["f", "precision", "recall"]


def rouge1(
    candidate: Sequence[Hashable], reference: Sequence[Hashable], measure: Measure = "f"
) -> float:
    """ROUGE-1 of `candidate` against `reference`: counts clipped, empty texts score 0."""
    matches = (Counter(candidate) & Counter(reference)).total()
    return _score(matches, len(candidate), len(reference), measure)


def sentence_ranks(
    sentences: Sequence[Sequence[Hashable]],
    *,
    method: Method = "independent",
    measure: Measure = "f",
    stop_words: Collection[Hashable] = frozenset(),
) -> list[int]:
    """The rank of every sentence: 1 for the one to be taken first.

    ``independent`` scores each sentence against all others; ``greedy`` takes in each step the
    sentence that gives, with those taken before, the best score against those left. Of equal
    scores the last sentence wins. The best k by rank are the method's choice of k, whatever
    k is.

    Args:
        sentences: words or token ids of each.
        stop_words: words that do not count.
    """
    bags = [Counter(word for word in words if word not in stop_words) for words in sentences]
    whole: Counter[Hashable] = Counter()
    for bag in bags:
        whole.update(bag)
    taken: Counter[Hashable] = Counter()
    left = list(range(len(bags)))
    ranks = [0] * len(bags)
    if method == "independent":
        left.sort(key=lambda i: (_joined_score(taken, bags[i], whole, measure), i))
        for rank, i in enumerate(reversed(left), 1):
            ranks[i] = rank
        return ranks
    for rank in range(1, len(bags) + 1):
        best = max(left, key=lambda i: (_joined_score(taken, bags[i], whole, measure), i))
        ranks[best] = rank
        left.remove(best)
        taken.update(bags[best])
    return ranks


def _joined_score(
    taken: Counter[Hashable],
    bag: Counter[Hashable],
    whole: Counter[Hashable],
    measure: Measure,
) -> float:
    """The score of `taken` and `bag` together against the rest of `whole`."""
    joined = taken + bag
    matches = sum(min(count, whole[word] - count) for word, count in joined.items())
    size = joined.total()
    return _score(matches, size, whole.total() - size, measure)


def _score(matches: int, candidate: int, reference: int, measure: Measure) -> float:
    # One division of integers, correctly rounded: equal scores are equal on every machine.
    if measure == "precision":
        return matches / max(1, candidate)
    if measure == "recall":
        return matches / max(1, reference)
    return 2 * matches / max(1, candidate + reference)

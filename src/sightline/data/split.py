"""Images divided into splits at random, so that each split has its fair share of every class.

Iterative stratification of data with several labels an example (Sechidis, Tsoumakas and Vlahavas
2011, "On the Stratification of Multi-Label Data", algorithm 1): the class with the fewest images
left is dealt out first, as later classes can make good what goes wrong with a common one, but
nothing can with a rare one. What is counted is images that show a class, as in the paper, for an
image cannot be parted. Where we depart from it:

- Images that belong together are one unit. Units of several images are dealt first, and single
  images make up for them.
- A class's units are dealt evenly in the order of how many objects of it they hold, where the
  paper fills the split that wants most first: so objects are spread as well as images.
- Splits have a fixed number of images; what dealing one class leaves uneven in their sizes and in
  the other classes is made good by the next, as error diffusion does with grey levels.
- No split goes without a class that has a unit for each of them, as far as there is room.
- Ties are settled by a hash of seed and file name, so that the answer depends neither on the order
  of the images nor on any machine's generator of random numbers.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sightline.data.units import Unit, lot, merge, units_of
from sightline.errors import DatasetError, UsageError

SLACK = 1e-6
"""By how much ratios may miss 1, or two wishes differ and still be a tie."""


def divide(
    contents: Sequence[Mapping[int, int]],
    names: Sequence[str],
    ratios: Mapping[str, float],
    seed: int = 0,
    groups: Iterable[Sequence[int]] = (),
) -> tuple[tuple[int, ...], ...]:
    """The rows of each split, ascending, in the order of `ratios`; every row is in one of them.

    `contents` is class → number of objects, one an image; `names` are the images' own, all
    different. `groups` are rows that stay together; groups that share a row are one. The sizes are
    those of `ratios`, rounded to whole images, where the units' sizes allow it; a split ends less
    than one unit above.

    UsageError as `check_ratios`; DatasetError `split.too_few` with fewer units than splits.
    """
    check_ratios(ratios)
    units = units_of(contents, names, seed, merge(groups, len(names)))
    if len(units) < len(ratios):
        raise DatasetError(
            f"{len(names)} images, of which {len(units)} can be parted, are too few for "
            f"{len(ratios)} splits",
            code="split.too_few",
            hint="name fewer splits",
        )
    places = _Dealer(units, ratios, seed).deal()
    answer: list[list[int]] = [[] for _ in ratios]
    for unit, place in zip(units, places, strict=True):
        answer[place] += unit.rows
    return tuple(tuple(sorted(rows)) for rows in answer)


def check_ratios(ratios: Mapping[str, float]) -> None:
    """UsageError `split.ratio` where they are not two or more positive numbers that sum to 1."""
    hint = "for instance --ratios train=0.8,val=0.1,test=0.1; thirds may be written 1/3"

    def refuse(message: str) -> UsageError:
        return UsageError(message, code="split.ratio", hint=hint)

    if len(ratios) < 2:
        raise refuse("a division needs two splits or more")
    for name, ratio in ratios.items():
        if not (math.isfinite(ratio) and ratio > 0):
            raise refuse(f"the ratio of {name!r} is {ratio:g}, not a number above 0")
    total = math.fsum(ratios.values())
    if abs(total - 1) > SLACK:
        raise refuse(f"the ratios sum to {total:.6g}, not to 1")


def fair(ratios: Sequence[float], total: int) -> list[float]:
    """`total` shared out by `ratios`, but at least 1 to each where `total` allows it."""
    least = 1.0 if total >= len(ratios) else 0.0
    low: set[int] = set()
    while True:
        rest, weight = (
            total - least * len(low),
            sum(r for j, r in enumerate(ratios) if j not in low),
        )
        shares = [least if j in low else rest * r / weight for j, r in enumerate(ratios)]
        short = {j for j, share in enumerate(shares) if share < least - SLACK}
        if not short:
            return shares
        low |= short


def _within(value: float, bound: float) -> float:
    return max(-bound, min(bound, value))


class _Dealer:
    """The state of one division; splits are numbered in the order of the ratios.

    `drifts` are the images of each class that a split is short of its part of those dealt so far.
    """

    def __init__(self, units: Sequence[Unit], ratios: Mapping[str, float], seed: int) -> None:
        self.units, self.names, self.seed = units, list(ratios), seed
        self.places: list[int | None] = [None] * len(units)
        images: Counter[int] = Counter()
        self.left: Counter[int] = Counter()  # units of each class that are not dealt yet
        for unit in units:
            images.update(unit.images)
            self.left.update(unit.images.keys())
        parts = list(ratios.values())
        self.wanted = {
            label: fair(parts, count)
            if self.left[label] >= len(parts)
            else [part * count for part in parts]
            for label, count in images.items()
        }
        self.owed = {label for label in images if self.left[label] >= len(parts)}
        self.drifts = {label: [0.0] * len(parts) for label in images}
        self.holders = {label: [0] * len(parts) for label in images}
        self.lacks = [len(self.owed)] * len(parts)  # owed classes that a split can still get
        total = sum(len(unit.rows) for unit in units)
        self.room = self._rounded(fair(parts, total), total)
        self.shares = [room / total for room in self.room]
        self.given = [0] * len(parts)
        self.undealt = len(units)

    def _rounded(self, shares: Sequence[float], total: int) -> list[int]:
        """Whole numbers of the same sum: the largest fractions are rounded up."""
        whole = [math.floor(share + SLACK) for share in shares]
        order = sorted(
            range(len(shares)),
            key=lambda j: (round(whole[j] - shares[j], 6), lot(self.seed, "room", self.names[j])),
        )
        for j in order[: total - sum(whole)]:
            whole[j] += 1
        return whole

    def deal(self) -> list[int]:
        """The split of each unit."""
        every = range(len(self.units))
        self._deal_all([i for i in every if len(self.units[i].rows) > 1])
        self._deal_all([i for i in every if len(self.units[i].rows) == 1])
        return [place for place in self.places if place is not None]

    def _deal_all(self, rows: Sequence[int]) -> None:
        """Class after class, the one with the fewest images among `rows` first."""
        members: dict[int, list[int]] = {}
        waiting: Counter[int] = Counter()
        for i in rows:
            waiting.update(self.units[i].images)
            for label in self.units[i].images:
                members.setdefault(label, []).append(i)
        while waiting:
            label = min(waiting, key=lambda c: (waiting[c], lot(self.seed, "class", str(c))))
            hand = [i for i in members[label] if self.places[i] is None]
            self._deal_class(label, hand)
            for i in hand:
                waiting.subtract(self.units[i].images)
            waiting = +waiting

    def _deal_class(self, label: int, hand: list[int]) -> None:
        """Deal the units of one class so that every split is served at the same pace."""
        units = self.units
        hand.sort(key=lambda i: (-len(units[i].rows), -units[i].objects[label], units[i].draw))
        need = [max(0.0, wish) for wish in self.wanted[label]]
        pace = [wish / sum(need) for wish in need]
        placed = sum(self.given)
        drift = [r * placed - n for r, n in zip(self.shares, self.given, strict=True)]
        got, dealt = [0] * len(pace), 0
        for i in hand:
            size = units[i].images[label]
            dealt += size
            behind = [
                p * dealt - g + _within(d, size / 2)
                for p, g, d in zip(pace, got, drift, strict=True)
            ]
            for other in units[i].images:
                if other != label:
                    for j, d in enumerate(self.drifts[other]):
                        behind[j] += _within(d, size / 2) / 2
            place = self._choose(units[i], behind)
            got[place] += size
            self._place(i, place)

    def _choose(self, unit: Unit, behind: Sequence[float]) -> int:
        """The split that is most behind among those that may have the unit."""
        allowed = self._allowed(unit)
        most = max(behind[j] for j in allowed)
        best = [j for j in allowed if behind[j] >= most - SLACK]
        if len(best) > 1:
            roomy = max(self.room[j] for j in best)
            best = [j for j in best if self.room[j] == roomy]
        if len(best) > 1:
            best.sort(key=lambda j: lot(self.seed, str(unit.draw), self.names[j]))
        return best[0]

    def _allowed(self, unit: Unit) -> list[int]:
        """Splits with room for the unit.

        Of these the ones that lack one of its classes, where there are only as many units of it
        left as splits without; else those that keep room for every class that they lack.
        """
        every = range(len(self.room))
        empty = [j for j in every if not self.given[j]]
        if len(empty) >= self.undealt:
            return empty
        size = len(unit.rows)
        allowed = [j for j in every if self.room[j] >= size]
        if not allowed:
            roomy = max(self.room)
            allowed = [j for j in every if self.room[j] == roomy]
        owed = [c for c in unit.images if c in self.owed]
        scarce = sorted((self.left[c], c) for c in owed if self.left[c] <= len(every))
        for left, label in scarce:
            lacking = [j for j in allowed if not self.holders[label][j]]
            if lacking and left <= self.holders[label].count(0):
                allowed = lacking
        return [
            j
            for j in allowed
            if self.room[j] - size >= self.lacks[j] or not all(self.holders[c][j] for c in owed)
        ] or allowed

    def _place(self, i: int, place: int) -> None:
        unit = self.units[i]
        self.places[i] = place
        self.undealt -= 1
        self.room[place] -= len(unit.rows)
        self.given[place] += len(unit.rows)
        for label, count in unit.images.items():
            drift, held = self.drifts[label], self.holders[label]
            for j, share in enumerate(self.shares):
                drift[j] += share * count
            drift[place] -= count
            self.wanted[label][place] -= count
            self.left[label] -= 1
            held[place] += 1
            if label in self.owed:
                self.lacks[place] -= held[place] == 1
                if not self.left[label]:
                    self.lacks = [n - (not h) for n, h in zip(self.lacks, held, strict=True)]

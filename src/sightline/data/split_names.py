"""What splits are called: names that mean the same, and the order in which they are told."""

SAME = (
    ("train", "training", "train2017"),
    ("val", "valid", "validation", "val2017"),
    ("test",),
)
"""Names that mean one split."""

APART = tuple(name for names in SAME for name in names)
"""Splits that hold no other split; VOC's trainval holds two."""

ORDER = (*SAME[0], *SAME[1], "trainval", *SAME[2])


def rank(name: str | None) -> tuple[int, str]:
    """The place of a split's name, for sorting: train first, other names last."""
    return (ORDER.index(name) if name in ORDER else len(ORDER), name or "")

"""From labels that somebody sent to labels that can be trusted: check, mend, write anew.

    python examples/tidy_labels.py DATA OUT [--to coco]

Says what is wrong with DATA, in whichever format it is; then mends what can be mended (boxes beyond
their image, swapped corners, …), drops what cannot, and writes all splits into the new folder OUT.
The same as `sightline check DATA` and `sightline convert DATA --to coco --out OUT --on-bad fix`, in
Python. DATA stays as it is.
"""

import argparse
import warnings
from pathlib import Path

from sightline.data import open_dataset, splits
from sightline.data.convert import convert
from sightline.data.doctor import check


def main() -> None:
    """Check, open once more with what is mended, write, check again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--to", default="coco")
    given = parser.parse_args()
    found = check(given.data)
    for (severity, code), faults in found.by_rule().items():
        first = faults[0]
        print(f"{severity} {code} × {len(faults)}, such as {first.path}: {first.message}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they repeat what was just said
        names = splits(given.data) or (None,)
        parts = [open_dataset(given.data, name, on_bad="fix") for name in names]
    losses = convert(parts, given.out, given.to)
    print(f"{sum(map(len, parts)):,} images in {given.out}")
    if losses:
        print(f"what {given.to} cannot hold:\n{losses.table()}")
    print("sound" if check(given.out).sound else "still not sound: look at what is left")


if __name__ == "__main__":
    main()

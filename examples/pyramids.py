"""The four pyramids of one detector: what a feature pyramid network gives, and what it costs.

    python examples/pyramids.py DATA [--steps 600 | --minutes M] [--start FILE] [--out pyramids]

Trains the light RetinaNet four times, with the image pyramid, the single map, the hierarchy and the
FPN (Lin 2017, figure 1): the same backbone from the same weights, channels, towers, anchor sizes,
matching, loss, pictures and steps (or minutes). Prints AP by the size of objects, CPU milliseconds
an image, parameters and memory, and writes the table into --out, as Markdown and as JSON.

DATA is a labelled folder with a part to train on and one to test on, or a label file, and then
--test another one. What is in --out already is not trained again, and what was stopped goes on;
--pyramid takes some of the four.
"""

from typing import get_args

from one_budget import arguments, compare

from sightline.detectors.retinanet import Pyramid

ORDER = ("image", "single", "hierarchy", "fpn")


def main() -> None:
    """Train, measure, print."""
    parser = arguments(__doc__, "pyramids")
    parser.add_argument("--pyramid", action="append", choices=get_args(Pyramid))
    given = parser.parse_args()
    print(compare(given, "pyramid", given.pyramid or ORDER), end="")


if __name__ == "__main__":
    main()

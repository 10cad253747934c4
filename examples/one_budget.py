"""What the comparisons of switches share: the arguments, the recipe, the table."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sightline.data import default_split, open_dataset
from sightline.data.augment import Augmentation
from sightline.memory import keep_freed_memory
from sightline.train.compare import Variant, measure, table, trained, write
from sightline.train.recipes import Recipe

FIGURES = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")


def arguments(text: str | None, out: str) -> argparse.ArgumentParser:
    """What every comparison is told."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="labelled images to learn from")
    parser.add_argument("--test", type=Path, help="others to be tested on (the data's own part)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="the same number for all (600)")
    length.add_argument("--minutes", type=float, help="the same time for all instead")
    parser.add_argument("--start", default="mobilenet_v2", help="the backbone's weights: a file")
    parser.add_argument("--size", type=int, default=320, help="pixels of the training images")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--freeze", type=int, default=2, help="stages of the backbone left alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--looks", type=int, default=20, help="images that tell the time")
    parser.add_argument("--on-bad", default="error", choices=["error", "skip", "fix"])
    parser.add_argument("--out", type=Path, default=Path(out))
    return parser


def recipe(given: argparse.Namespace, switch: str, choice: str) -> Recipe:
    """The light RetinaNet with one switch set: the same length, pictures and seed for all."""
    steps = 600 if given.steps is None and given.minutes is None else given.steps
    return Recipe(
        model="retinanet_mobilenet_v2",
        options=((switch, choice),),
        start=None if given.start == "none" else given.start,
        steps=steps,
        minutes=given.minutes,
        batch=given.batch,
        sizes=((1.0, given.size),),
        learning_rate=given.rate,
        warmup_steps=100 if steps is None else min(100, steps // 5),
        ema=0.98,
        freeze=given.freeze,
        seed=given.seed,
        threads=1,
        augmentation=Augmentation(masks=False),
    )


def say(line: str) -> None:
    """What happens on the way: not part of what is printed."""
    print(line, file=sys.stderr, flush=True)


def compare(given: argparse.Namespace, switch: str, choices: Sequence[str]) -> str:
    """Train and measure one variant a choice; the table as Markdown, and in --out as JSON too."""
    keep_freed_memory()
    places = (given.data, given.test or given.data)
    parts = [
        default_split(place, part) for place, part in zip(places, ("train", "val"), strict=True)
    ]
    if (places[0], parts[0]) == (places[1], parts[1]):
        raise SystemExit(f"{given.data} has no images of its own to test on: give --test")
    learn, test = (
        open_dataset(place, part, on_bad=given.on_bad)
        for place, part in zip(places, parts, strict=True)
    )
    paths = {}
    for choice in choices:
        variant = Variant(choice, recipe(given, switch, choice))
        paths[choice] = trained(variant, learn, given.out, say)
    rows = measure(paths, test, given.looks)
    text = table(rows, switch, FIGURES)
    about = {"data": learn.name, "images": [len(learn), len(test)]}
    about["recipe"] = recipe(given, switch, choices[0]).to_json() | {"options": switch}
    write(given.out, rows, text, about)
    return text

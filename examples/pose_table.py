"""The table of poses: people found first or last (OpenPose, Cao 2017, table 3), on images at hand.

    python examples/pose_table.py ../shared/data/coco --out runs/poses

Four ways to everybody's pose, judged alike, and the time of each against the number of people:

    ground-truth boxes + CPM    the labelled boxes, a pose machine for each
    SSD + CPM                   the same machine, people found by SSD
    OpenPose                    parts and their affinity fields, everybody at once
    OpenPose + refinement       OpenPose's people posed anew by the pose machine

A model that is not given (--cpm, --ssd, --openpose: a run, a checkpoint or a name of the catalogue)
is the embedded one, where there is one; else it is trained for --minutes in OUT first, or gone on
with there. Times are CPU milliseconds on one thread, the ways in turn on every image.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from sightline import images, pipeline, predict
from sightline.data import open_dataset
from sightline.data.records import Dataset, Example
from sightline.detectors.top_down import TopDown
from sightline.evaluate import evaluate
from sightline.evaluate.pictures import new_figure, save
from sightline.evaluate.predict import pose_labelled
from sightline.files import write_json, write_text
from sightline.memory import keep_freed_memory
from sightline.pipeline import Image
from sightline.predict import embedded, load
from sightline.progress import track
from sightline.train.compare import Variant, trained
from sightline.train.recipes import RECIPES, Recipe, default_for
from sightline.types import Detections

PUBLISHED = {
    "ground-truth boxes + CPM": 62.7,
    "SSD + CPM": 52.7,
    "OpenPose": 58.4,
    "OpenPose + refinement": 61.0,
}
"""AP on 1,160 images of COCO's validation set of 2016, of networks trained on all of COCO."""

FIGURES = ("AP", "AP50", "PCK")
CROWDS = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 7), (8, 12), (13, 99))
"""Images are told apart by how many people are labelled in them."""


@dataclass
class Row:
    """One way to pose people: how it looks at an image, what it answered, how long that took."""

    look: Callable[[Image, Example], Detections]
    answers: list[Detections] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    """Train what is missing, measure, write table.md, table.json and time.png; print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="a folder of COCO with people's keypoints")
    parser.add_argument("--cpm", help="the pose machine")
    parser.add_argument("--ssd", help="the person detector")
    parser.add_argument("--ssd-score", type=float, default=0.2, help="people below are no people")
    parser.add_argument("--openpose", help="the bottom-up model")
    parser.add_argument("--minutes", type=float, default=30, help="of training, for each missing")
    parser.add_argument("--images", type=int, help="the first so many only")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored crops")
    parser.add_argument("--out", type=Path, default=Path("poses"))
    given = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    labels = given.data / "annotations"
    learn = open_dataset(labels / "person_keypoints_train.json")
    test = open_dataset(labels / "person_keypoints_val.json")
    if given.images is not None:
        test = replace(test, examples=test.examples[: given.images])
    names = models(given, learn)
    rows = ways(names, test.classes, given)
    look(rows, test)
    text, about = table(rows, test)
    people = [int((~example.objects.crowd).sum()) for example in test]
    times = by_people(rows, people)
    text += "\n" + time_table(times)
    write_text(given.out / "table.md", text)
    settings = {"models": names, "images": len(test), "flip": given.flip}
    settings["ssd_score"] = given.ssd_score
    write_json(given.out / "table.json", {**settings, **about, "milliseconds": times}, indent=1)
    draw(rows, people, given.out / "time.png")
    print(text)


def models(given: argparse.Namespace, learn: Dataset) -> dict[str, str]:
    """What to load for each part: what was given, what is embedded, or what is trained now."""

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    missing: dict[str, Recipe] = {
        "cpm": RECIPES["cpm_mobilenet_v2"],
        "ssd": default_for("ssd_mobilenet_v2", learn, "retinanet_mobilenet_v2"),
        "openpose": RECIPES["openpose_mobilenet_v2"],
    }
    names = {}
    for name, recipe in missing.items():
        chosen = getattr(given, name)
        if chosen is None and embedded(recipe.model):
            chosen = name
        if chosen is None:
            budget = {"epochs": None, "steps": None, "minutes": given.minutes, "threads": 1}
            chosen = str(trained(Variant(name, replace(recipe, **budget)), learn, given.out, say))
        names[name] = chosen
    return names


def ways(
    names: Mapping[str, str], classes: tuple[str, ...], given: argparse.Namespace
) -> dict[str, Row]:
    """The four rows of the table. An SSD of one class, taught by three of the background to one of
    it, gives everything a fifth; only what it gives more is looked at.
    """

    def machine(people: str, **changes: float) -> TopDown:
        model: predict.Model = load(names["cpm"], score=None, people=people)
        assert isinstance(model.detector, TopDown)
        model.detector.look = replace(model.detector.look, flip=given.flip, **changes)
        return model.detector

    def found(detector: pipeline.Detector) -> Row:
        return Row(lambda pixels, example: pipeline.detect(detector, [pixels])[0])

    alone = machine("none")
    return {
        "ground-truth boxes + CPM": Row(
            lambda pixels, example: pose_labelled(alone, [pixels], [example], classes)[0]
        ),
        "SSD + CPM": found(machine(names["ssd"], score=given.ssd_score)),
        "OpenPose": found(load(names["openpose"], score=None).detector),
        "OpenPose + refinement": found(machine(names["openpose"])),
    }


def look(rows: Mapping[str, Row], test: Dataset) -> None:
    """Every way in turn on every image; the first image once more, for what is made only once."""
    for row in rows.values():
        row.look(images.read(test[0].path), test[0])
    for example in track(list(test), "images"):
        pixels = images.read(example.path)
        for row in rows.values():
            began = time.process_time()
            row.answers.append(row.look(pixels, example))
            row.seconds.append(time.process_time() - began)


def table(rows: Mapping[str, Row], test: Dataset) -> tuple[str, dict[str, object]]:
    """The figures as Markdown, the published ones beside them; and as plain data."""
    heads = ("", *(f"OKS {f}" if f != "PCK" else f for f in FIGURES), "ms an image", "published AP")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    plain: dict[str, object] = {}
    for name, row in rows.items():
        report = evaluate(test, row.answers)
        values = {figure: getattr(report, f"keypoints_{figure}") for figure in FIGURES}
        middle = 1000 * statistics.median(row.seconds)
        shown = ["–" if v is None else f"{100 * v:.1f}" for v in values.values()]
        cells = (name, *shown, f"{middle:.0f}", f"{PUBLISHED[name]:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
        plain[name] = {**values, "milliseconds": middle, "published": PUBLISHED[name]}
    return "\n".join(lines) + "\n", {"rows": plain}


def by_people(rows: Mapping[str, Row], people: list[int]) -> dict[str, dict[str, float]]:
    """The median milliseconds of each way, by the number of people labelled in the image."""
    answer: dict[str, dict[str, float]] = {}
    for low, high in CROWDS:
        own = [i for i, count in enumerate(people) if low <= count <= high]
        if own:
            label = str(low) if low == high else f"{low} to {max(people[i] for i in own)}"
            answer[label] = {
                name: 1000 * statistics.median(row.seconds[i] for i in own)
                for name, row in rows.items()
            }
    return answer


def time_table(times: Mapping[str, Mapping[str, float]]) -> str:
    """Milliseconds by the number of people, as Markdown."""
    names = list(next(iter(times.values())))
    lines = [f"| people | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for label, row in times.items():
        lines.append(f"| {label} | {' | '.join(f'{value:.0f}' for value in row.values())} |")
    return "\n".join(lines) + "\n"


def draw(rows: Mapping[str, Row], people: list[int], path: Path) -> None:
    """The time of every image against its people: top-down grows, bottom-up stays."""
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    for number, (name, row) in enumerate(rows.items()):
        spent = [1000 * seconds for seconds in row.seconds]
        axes.scatter(people, spent, s=8, alpha=0.3, color=f"C{number}")
        crowds = sorted(set(people))
        each = [[t for t, n in zip(spent, people, strict=True) if n == crowd] for crowd in crowds]
        axes.plot(crowds, [statistics.median(one) for one in each], f"C{number}", label=name)
    axes.set_xlabel("people labelled in the image")
    axes.set_ylabel("CPU ms")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    main()

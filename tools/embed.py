"""Make a trained run the embedded weights of its model: half precision, manifest, model card.

    python tools/embed.py DATA runs/seed0 runs/seed1 --note "what else a reader should know"
    python tools/embed.py person_keypoints_train.json --val person_keypoints_val.json runs/seed0

All runs are evaluated on the `val` split; the best is embedded, or with `--average` the mean of
their weights (runs from one start lie in one valley: Wortsman 2022, arXiv:2203.05482). The card
tells of all. A top-down machine is judged behind the detector that `sightline.load` puts before it,
and behind others in rows of their own.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import sightline
from sightline import catalogue, checkpoint
from sightline.data import open_dataset
from sightline.data.more_labels import with_more
from sightline.data.records import Dataset
from sightline.detectors.top_down import TopDown
from sightline.evaluate import evaluate, predict
from sightline.memory import keep_freed_memory
from sightline.predict import PEOPLE, assemble, load
from sightline.train.recipes import RECIPES

HOME = Path(__file__).resolve().parents[1] / "src" / "sightline" / "weights"
SHOWN = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR100")
EXTRA = ("person_AP", "person_AP50", "frequent40_AP")
MASKS = ("segm_AP", "segm_AP50")
"""Shown too, where the model and `--more-labels` have masks."""

POSES = tuple(f"keypoints_{key}" for key in ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR"))
"""Shown alone where a model finds nothing but poses."""

OTHERS = ("openpose", "truth")
"""Before a top-down machine: people whose poses are refined, and the labelled boxes."""

CARDS = Path(__file__).resolve().parent / "cards"
"""The text of each model's card, with places for its figures."""


def figures(
    stored: checkpoint.Checkpoint, val: Dataset, dtype: Any = "fp32", people: str = PEOPLE
) -> dict[str, Any]:
    """COCO's figures of a checkpoint on `val`, with those of people and of frequent classes.

    `people` goes before a top-down machine: a model, or "truth" for the labelled boxes.
    """
    model = assemble(stored, score=None, dtype=dtype)
    labelled = people == "truth"
    if isinstance(model.detector, TopDown) and not labelled:
        model.detector.follow(load(people, score=None, dtype=dtype).detector)
    report = evaluate(val, predict(model.detector, val, labelled=labelled)).to_json()
    if catalogue.learns_poses(model.name):
        return {key: report[key] for key in POSES}
    labels = np.concatenate([e.objects.labels for e in val])
    often = np.bincount(labels, minlength=len(val.classes)).argsort()[::-1][:40]
    per_class = report["per_class"]
    frequent = [per_class[val.classes[label]] for label in often]
    return {
        **{key: report[key] for key in (*SHOWN, *MASKS) if key in report},
        "person_AP": per_class["person"],
        "person_AP50": report["per_class_AP50"]["person"],
        "frequent40_AP": float(np.mean([value for value in frequent if value is not None])),
        "per_class": per_class,
    }


def halved(stored: checkpoint.Checkpoint) -> checkpoint.Checkpoint:
    """The checkpoint as it will be read back from half precision."""
    state = {k: v.half().float() if v.is_floating_point() else v for k, v in stored.state.items()}
    return replace(stored, state=state)


def at(stored: checkpoint.Checkpoint, longer: int | None) -> checkpoint.Checkpoint:
    """The checkpoint with images prepared to another longer side."""
    if longer is None:
        return stored
    preparation = {**stored.manifest["preparation"], "longer": longer}
    return replace(stored, manifest={**stored.manifest, "preparation": preparation})


def columns(found: dict[str, Any]) -> list[str]:
    """The figures of the card's table."""
    return [key for key in (*SHOWN, *EXTRA, *MASKS, *POSES) if key in found]


def row(name: str, found: dict[str, Any]) -> str:
    """A line of the card's table."""
    cells = " | ".join(f"{found[key]:.3f}" for key in columns(found))
    return f"| {name} | {cells} |"


def clean(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose files are names, not places of somebody's machine."""
    names = {k: Path(recipe[k]).name for k in ("start", "teacher") if recipe.get(k)}
    return {**recipe, **names}


def mean_of(stored: list[checkpoint.Checkpoint]) -> checkpoint.Checkpoint:
    """The mean of the runs' weights, with the manifest of the first."""
    state = {
        key: torch.stack([one.state[key] for one in stored]).mean(dim=0)
        if value.is_floating_point()
        else value
        for key, value in stored[0].state.items()
    }
    return replace(stored[0], state=state)


def command(recipe: dict[str, Any], more: list[str]) -> str:
    """The command line of a run: what differs from the package's recipe of that name."""
    usual = json.loads(json.dumps(RECIPES[recipe["model"]].to_json()))  # tuples as lists, as read
    lines = [f"sightline train DATA --recipe {recipe['model']} --seed {recipe['seed']} --out RUN"]
    if recipe["start"] != usual["start"]:
        lines.append(f"--start {recipe['start']}")
    if recipe["teacher"]:
        lines.append(f"--teacher {recipe['teacher']}")
    lines += [f"--more-labels {name}" for name in more]
    named = ("model", "seed", "start", "teacher")
    other = [k for k in usual if k in recipe and k not in named and recipe[k] != usual[k]]
    lines += [f'--set "{key}={recipe[key]}"' for key in other]
    return " \\\n    ".join(lines)


def main() -> None:
    """Evaluate the runs, embed the best one, write its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--val", type=Path, help="labels to evaluate on, where DATA is a file")
    parser.add_argument("--longer", type=int, help="detect at this longer side, not the run's")
    parser.add_argument("--note", default="")
    parser.add_argument("--hardware", default="one core of a CPU", help="what the runs had")
    parser.add_argument("--more-labels", type=Path, nargs="*", default=[], help="masks of val")
    parser.add_argument("--average", action="store_true", help="embed the mean of the weights")
    given = parser.parse_args()
    keep_freed_memory()
    train = open_dataset(given.data, None if given.val else "train")
    test = open_dataset(given.val) if given.val else open_dataset(given.data, "val")
    (val,) = with_more([test], given.more_labels)
    assert val is not None
    stored = [at(halved(checkpoint.read(run)), given.longer) for run in given.runs]
    found = [figures(one, val) for one in stored]
    first = columns(found[0])[0]
    best = max(range(len(found)), key=lambda i: found[i][first])
    chosen, shown = stored[best], found[best]
    if given.average:
        chosen = halved(mean_of(stored))
        shown = figures(chosen, val)
    recipes = [clean(one.manifest["training"]["recipe"]) for one in stored]
    lines = [row(f"seed {r['seed']}", f) for r, f in zip(recipes, found, strict=True)]
    keys = columns(found[0])
    if len(found) > 1:
        mean = {key: float(np.mean([f[key] for f in found])) for key in keys}
        lines.append(row(f"mean of {len(found)} seeds", mean))
    what = "the mean of their weights" if given.average else f"seed {recipes[best]['seed']}"
    lines.append(row(f"**embedded: {what}**", shown))
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():  # elsewhere it takes an hour
        lines.append(row("the same in bfloat16 (`--bf16`)", figures(chosen, val, "bf16")))
    if isinstance(assemble(chosen, score=None).detector, TopDown):
        lines += [
            row(f"with `--people {who}`", figures(chosen, val, "fp32", who)) for who in OTHERS
        ]
    manifest = dict(chosen.manifest)
    name = manifest["model"]
    training = {**manifest["training"], "recipe": recipes[best], "seeds": found}
    manifest |= {"figures": shown, "training": training, "licence": "Apache-2.0"}
    state = {k: v.half() if v.is_floating_point() else v for k, v in chosen.state.items()}
    checkpoint.write(HOME / name, state, manifest)
    size = (HOME / f"{name}.safetensors").stat().st_size
    recipe = recipes[best]
    more = [path.name.replace("_val", "_train") for path in given.more_labels]
    card = (
        (CARDS / f"{name}.md")
        .read_text()
        .format(
            model=name,
            parameters=sum(v.numel() for v in state.values() if v.is_floating_point()) / 1e6,
            megabytes=size / 1e6,
            longer=manifest["preparation"]["longer"],
            val=len(val),
            train=len(train),
            columns=" | ".join(keys),
            rule="---|" * (len(keys) - 1) + "---",
            rows="\n".join(lines),
            command=command(recipe, more),
            batch=recipe["batch"],
            learning_rate=recipe["learning_rate"],
            minutes=recipe["minutes"],
            steps=training["step"],
            seen=round(training["step"] * recipe["batch"] / 1000),
            note=given.note,
            hardware=given.hardware,
        )
    )
    (HOME / f"{name}.md").write_text(card)
    print(card)
    print(json.dumps({"sightline": sightline.__version__, "torch": torch.__version__}))


if __name__ == "__main__":
    main()

"""A run's numbers, as one frozen record; the recipes that come with the package."""

import dataclasses
import difflib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline import catalogue, checkpoint
from sightline.data.augment import Augmentation
from sightline.data.records import Dataset
from sightline.errors import SightlineError, UsageError
from sightline.train.shown import CROPS, POSES, SEARCHED, patches


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network is trained.

    Model: `options` are pairs (name, choice), switches of the model's builder.
    Length: exactly one of `epochs`, `steps` and `minutes` (of training; evaluations come on top).
    Start: `start` is "embedded", a checkpoint, a file of published backbone weights, or None.
    Steps: `optimizer` "adamw" or "sgd" (with Nesterov `momentum`); the backbone learns at
    `learning_rate · backbone_factor`; norms and biases have no weight decay; gradients are clipped
    to `clip_norm` (0: not). `final` is the share of the learning rate left at the end.
    Weights: `ema` is the decay of their average (0: none); `freeze` stages of the backbone are not
    trained (0: all are); `frozen_norms` fixes every batch norm.
    Images: `sizes` are (share of the budget, pixels) in turn, multiples of 32 or what the model
    alone takes; `size_jitter` draws around them;
    `calm` is the last share of the budget without mosaic and mixup; `balance` is the frequency
    below which classes are repeated (0: not); `skip_bad` is the share of files that may turn out
    unreadable and are left out.
    Classes: `class_weights` is what objects of each class count in the loss: None, "auto" (rare
    ones more, see `weighting`), or pairs (name, weight).
    Numbers: `bf16` computes in bfloat16 where true, and where None on hardware that has it.
    Machine: `device` "cpu", "cuda", or "auto" for a GPU where there is one; `threads` of the
    network on a CPU (0: as many as cores), `workers` that prepare images.
    Evaluation: every `evaluate_every` of the budget; `patience` evaluations without a new best
    `figure` end the run (0: never).
    """

    model: str
    options: tuple[tuple[str, str], ...] = ()
    start: str | None = "embedded"
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None
    batch: int = 8
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    backbone_factor: float = 0.3
    momentum: float = 0.9
    weight_decay: float = 0.05
    warmup_steps: int = 200
    final: float = 0.01
    clip_norm: float = 5.0
    ema: float = 0.998
    freeze: int = 1
    frozen_norms: bool = True
    sizes: tuple[tuple[float, int], ...] = ((0.35, 256), (0.65, 384))
    size_jitter: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    calm: float = 0.1
    balance: float = 0.0
    skip_bad: float = 0.0
    class_weights: str | tuple[tuple[str, float], ...] | None = None
    bf16: bool | None = None
    channels_last: bool = True
    device: str = "auto"
    threads: int = 0
    workers: int = 1
    seed: int = 0
    evaluate_every: float = 0.1
    patience: int = 0
    figure: str = "AP"
    teacher: str | None = None
    log_steps: int = 20
    save_seconds: float = 120.0
    bad_steps: int = 10

    def __post_init__(self) -> None:
        for wrong, message in self._faults():
            if wrong:
                raise UsageError(message, code="train.recipe")

    def _faults(self) -> list[tuple[bool, str]]:
        lengths = [x for x in (self.epochs, self.steps, self.minutes) if x is not None]
        if not _are_sizes(self.sizes):
            return [(True, "sizes must be pairs of a share of the run and pixels: ((1.0, 320),)")]
        shares = sum(share for share, _ in self.sizes)
        numbers = {k: v for k, v in vars(self).items() if isinstance(v, float)}
        endless = [k for k, v in numbers.items() if not math.isfinite(v)]
        return [
            (bool(endless), f"{', '.join(endless)} must be a finite number"),
            (len(lengths) != 1, "give exactly one of epochs, steps and minutes"),
            (any(x <= 0 for x in lengths), "the length of a run must be more than 0"),
            (self.batch < 1, f"batch must be at least 1, not {self.batch}"),
            (self.optimizer not in ("adamw", "sgd"), "optimizer must be adamw or sgd"),
            (not self.learning_rate > 0, "learning_rate must be more than 0"),
            (not 0 <= self.ema < 1, "ema must lie in 0 … 1"),
            (not 0 <= self.calm <= 1, "calm must lie in 0 … 1"),
            (not 0 <= self.size_jitter < 1, "size_jitter must lie in 0 … 1"),
            (not 0 < self.evaluate_every <= 1, "evaluate_every must lie in 0 … 1"),
            (
                not _are_weights(self.class_weights),
                'class_weights must be "auto" or pairs of a class name and a number above 0',
            ),
            (abs(shares - 1) > 1e-6, f"the shares of sizes must sum to 1, not {shares:g}"),
            (
                any(pixels < 32 for _, pixels in self.sizes),
                "sizes must be 32 pixels at least",
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain data."""
        return dataclasses.asdict(self)


def _are_sizes(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(pair, tuple)
        and len(pair) == 2
        and isinstance(pair[0], int | float)
        and math.isfinite(pair[0])
        and isinstance(pair[1], int)
        for pair in value
    )


def _are_weights(value: object) -> bool:
    if value is None or value == "auto":
        return True
    return isinstance(value, tuple) and all(
        isinstance(pair, tuple)
        and len(pair) == 2
        and isinstance(pair[0], str)
        and isinstance(pair[1], int | float)
        and 0 < pair[1] < float("inf")
        for pair in value
    )


RECIPES: dict[str, Recipe] = {
    "retinanet_mobilenet_v2": Recipe(
        model="retinanet_mobilenet_v2",
        start="mobilenet_v2_imagenet.safetensors",
        minutes=100,
        sizes=((0.6, 256), (0.4, 384)),
        freeze=2,
        evaluate_every=0.34,
        threads=1,
        balance=0.05,
        augmentation=Augmentation(masks=False),
    ),
    "mask_rcnn_mobilenet_v2": Recipe(
        model="mask_rcnn_mobilenet_v2",
        start="retinanet_mobilenet_v2",
        minutes=100,
        sizes=((0.5, 320), (0.5, 384)),
        freeze=2,
        evaluate_every=0.34,
        threads=1,
        balance=0.05,
    ),
    "cpm_mobilenet_v2": Recipe(
        model="cpm_mobilenet_v2",
        start="mask_rcnn_mobilenet_v2",
        minutes=30,
        freeze=2,
        evaluate_every=0.5,
        threads=1,
        figure="keypoints_AP",
        **CROPS,
    ),
    "openpose_mobilenet_v2": Recipe(
        model="openpose_mobilenet_v2",
        start="mask_rcnn_mobilenet_v2",
        minutes=100,
        sizes=((0.5, 256), (0.5, 320)),
        freeze=2,
        evaluate_every=0.34,
        threads=1,
        figure="keypoints_AP",
        augmentation=POSES,
    ),
}
"""Name → recipe; those of the embedded weights are called as their models."""


def named(name: str) -> Recipe:
    """A recipe of the package; UsageError (`usage.unknown_recipe`) with the nearest name."""
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(RECIPES)}"
    raise UsageError(f"no recipe is called {name!r}", code="usage.unknown_recipe", hint=hint)


def is_checkpoint(start: str) -> bool:
    """Whether a path is a checkpoint of ours (a file with its manifest, a run's folder)."""
    return Path(start).is_dir() or Path(start).with_suffix(".json").exists()


def finds_already(start: str | None, model: str) -> bool:
    """Whether a run of `model` from `start` finds things before its first step: its own embedded
    weights or checkpoints do; nothing, a backbone, or another model's weights do not.
    """
    if start is None or start == "embedded":
        return start is not None
    if not is_checkpoint(start):
        known = start in catalogue.MODELS or start in catalogue.ALIASES
        return known and catalogue.resolve(start) == catalogue.resolve(model)
    try:
        written = checkpoint.manifest(start).get("model")
    except SightlineError:  # it will be told when it is read
        return False
    return written == catalogue.resolve(model)


def default_for(model: str, dataset: Dataset, start: str | None = "embedded") -> Recipe:
    """A recipe for a user's own data: fine-tune what is there, in more epochs where images are few.

    About 16,000 images are shown in all, the data set 6 to 100 times. What finds already learns at
    half the rate of what has heads that begin at random. Networks of one size get that size, those
    that see images stretched are shown such, `PATCHES` where they learn from these, and `POSES`
    where they learn nothing else. What does not learn step by step gets an hour at most; what is
    fitted after its steps, and looks at each region by itself, about 400 images.
    """
    if not catalogue.learns_by_steps(model):
        return Recipe(model=model, start=start, minutes=60.0)
    images, least = (400, 1.0) if catalogue.is_fitted(model) else (16000, 6.0)
    epochs = min(100.0, max(least, images / max(1, len(dataset))))
    prepared = catalogue.preparation_of(model)
    usual: dict[str, Any] = {
        "augmentation": Augmentation(masks="mask" in model, stretch=prepared.fit == "stretch")
    }
    if catalogue.takes_patches(model):  # these show all sizes in pictures of one
        usual["augmentation"] = patches(epochs, prepared.fit == "stretch")
    if catalogue.learns_poses(model):
        usual["augmentation"] = POSES
    if prepared.fixed or catalogue.takes_patches(model):
        usual["sizes"] = ((1.0, prepared.longer),)
    if catalogue.learns_from_crops(model):
        usual |= CROPS
    return Recipe(
        model=model,
        start=start,
        epochs=round(epochs, 1),
        learning_rate=5e-4 if finds_already(start, model) else 1e-3,
        warmup_steps=100,
        balance=0.1,
        figure="keypoints_AP" if catalogue.finds_keypoints(model) else "AP",
        **(SEARCHED if catalogue.searches(model) else usual),
    )

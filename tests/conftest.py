"""What every test shares: the folder of real data, and checked tensor shapes."""

import os
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import install_import_hook

SHARED = Path(__file__).resolve().parents[2] / "shared"
SOURCE = Path(__file__).resolve().parents[1] / "src"


def _checked() -> list[str]:
    """The modules whose annotated shapes are checked while tests run.

    Left out are kernels (a wrapped function cannot be compiled), the command line, and files whose
    annotations are strings.
    """
    names = []
    for path in sorted((SOURCE / "sightline").rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        aside = module.startswith(("sightline.kernels", "sightline.cli"))
        if path.stem[:2] != "__" and not aside:
            text = path.read_text()
            if "jaxtyping" in text and "from __future__ import annotations" not in text:
                names.append(module)
    return names


def _share_cores() -> None:
    """Where tests run side by side (`pytest -n auto`), each process takes its share of the cores.

    It must be said before torch is there.
    """
    workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if workers is not None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (cores or 1) // int(workers))))


_share_cores()
# Files are written as ever, only not waited for: no power fails here. Tests of power failing count
# the calls themselves.
setattr(os, "fsync", lambda file: None)  # noqa: B010
# How long an example takes says more of the machine than of the code
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
install_import_hook(_checked(), "shape_checks.check")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=SHARED / "golden",
        help="folder of golden files: <model>-<image>.npz",
    )


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No learning curves where runs are a few steps: they take longer to draw than to learn.

    Tests marked `curves` have them.
    """
    if request.path.parent.name in ("train", "cli", "compare"):
        from sightline.train.log import Log

        if "curves" not in request.keywords:
            monkeypatch.setattr(Log, "draw", lambda log: None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and golden files beside the project."""
    if not SHARED.is_dir():
        pytest.skip("no folder of shared data beside the project")
    return SHARED


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light RetinaNet of three classes that was never trained, but is sure of a few things."""
    import torch
    from skimage import data

    from sightline import catalogue
    from sightline import checkpoint as checkpoints

    torch.manual_seed(0)
    detector = catalogue.build("retinanet_mobilenet_v2", ["cat", "dog", "person"]).eval()
    photo = torch.from_numpy(data.chelsea()).permute(2, 0, 1)
    layer = detector.towers.class_logits
    with torch.no_grad():
        torch.nn.init.zeros_(layer.bias)
        logits = detector.towers(detector.encode(detector.prepare([photo])))[0]
        scale = 3.0 / logits.std()
        layer.weight *= scale
        layer.bias -= (scale * logits).amax() - 2.5  # the best score is 0.92
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    manifest = {
        "model": "retinanet_mobilenet_v2",
        "classes": ["cat", "dog", "person"],
        "category_ids": [17, 18, 1],
    }
    checkpoints.write(path, detector.state_dict(), manifest)
    return path

"""YOLO v3: three scales, classes by themselves, and the yolo layer's gradient."""

import torch

from sightline.detectors.prior_cells import Answers, Cells
from sightline.detectors.yolo_v3 import YoloCriterion, YoloV3, yolo_v3_mobilenet_v2
from sightline.matching import BACKGROUND
from sightline.ops.prior_answers import located
from sightline.types import Batch, Frame, Targets

CELLS = Cells(((4, 6), (2, 3)), (16, 32), (((10.0, 20.0),), ((60.0, 60.0),)))
SIZE = (64, 96)


def test_scales_and_scores() -> None:
    torch.manual_seed(0)
    detector: YoloV3 = yolo_v3_mobilenet_v2(["cat", "animal"]).eval()
    batch = Batch(torch.randn(1, 3, *SIZE), (Frame(SIZE, SIZE),))
    with torch.inference_mode():
        features = detector.encode(batch)
        regions = detector.propose(batch, features)
        scored = detector.classify(batch, features, regions)
        raw = detector.predict(features)[0]
    counts = regions.level.bincount().tolist()
    assert counts == [3 * 8 * 12, 3 * 4 * 6, 3 * 2 * 3]
    wanted = raw[:, 4:5].sigmoid() * raw[:, 5:].sigmoid()  # a cat is an animal too
    torch.testing.assert_close(scored.scores, wanted)
    assert raw[:, 4].sigmoid().median() < 2 * detector.start


def test_the_gradient_is_darknets() -> None:
    """yolo_layer.c, number by number: a logistic regression each, squares on the sides."""
    priors, level = CELLS.boxes()
    stride = torch.tensor([16.0, 32.0])[level]
    raw = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    found = Answers(raw, located(raw[..., :4], priors, stride), priors, level, stride, CELLS, SIZE)
    truth = Targets(
        torch.tensor([[20.0, 10, 84, 62]]), torch.tensor([1]), torch.zeros(1, dtype=torch.bool)
    )
    sum(YoloCriterion()(found, [truth]).values()).backward()  # type: ignore[union-attr]
    row = int(CELLS.responsible(truth.boxes)[0])
    assert row == 24 + 3 + 1  # the large prior of the cell at (52, 36)
    own, delta = raw.detach()[0, row], -raw.grad[0, row]  # type: ignore[index]
    s, weight = own.sigmoid(), 2 - 64 * 52 / (64 * 96)
    wanted = torch.stack(
        [
            weight * (52 / 32 - 1 - s[0]),
            weight * (36 / 32 - 1 - s[1]),
            weight * (torch.log(torch.tensor(64 / 60)) - own[2]),
            weight * (torch.log(torch.tensor(52 / 60)) - own[3]),
            1 - s[4],
            -s[5],
            1 - s[6],
            -s[7],
        ]
    )
    torch.testing.assert_close(delta, wanted, rtol=1e-4, atol=1e-6)
    other = int((found.owners([truth], 0.5)[0] == BACKGROUND).nonzero()[0])
    expected = torch.zeros(8)
    expected[4] = -raw.detach()[0, other, 4].sigmoid()
    torch.testing.assert_close(-raw.grad[0, other], expected)  # type: ignore[index]

"""Linear support vector machines: what HOG's templates and R-CNN's features are judged by.

Solved by liblinear through scikit-learn (Fan 2008): ½‖w‖² + C Σ loss(yᵢ (w · xᵢ + b)), the bias
being the weight of one more, constant feature.
"""

import warnings

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NEVER = -1e4
"""The bias of a machine that has seen no sample: what it says is below every threshold."""

BIAS = 10.0
"""The constant feature that stands for the bias: the larger, the less the bias is held small."""


def linear_machine(
    positives: Float[ndarray, "P D"],
    negatives: Float[ndarray, "N D"],
    cost: float,
    seed: int,
    weight: float = 1.0,
    hinge: bool = False,
) -> tuple[Float[ndarray, "D"], float]:
    """Weights and bias that tell positives (margin 1 and more) from negatives (−1 and less).

    `cost` is C; a positive counts `weight` times. The loss is the hinge, or its square.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    rows = np.concatenate([positives, negatives]).astype(np.float64)
    machine = LinearSVC(
        loss="hinge" if hinge else "squared_hinge",
        C=cost,
        class_weight={True: weight},
        intercept_scaling=BIAS,
        tol=1e-3,
        max_iter=5000 if hinge else 1000,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough for the next look
        machine.fit(rows, np.arange(len(rows)) < len(positives))
    return machine.coef_[0].astype(np.float32), float(machine.intercept_[0])

"""exp, written out without a branch, so that the compiler works on eight numbers at once."""

from typing import Any

import numpy as np

from sightline.kernels.cpu.compile import compiled_fused


@compiled_fused
def exponential(a: Any) -> Any:
    """exp(a) of a float of −87 to 87, within 3e-7 of the truth, relatively.

    It is 2ⁿ · exp(r) with n the nearest whole number to a / ln 2 and |r| ≤ ½ ln 2, by Taylor's
    series.
    """
    n = np.floor(a * np.float32(1.44269504) + np.float32(0.5))
    # ln 2 in two parts, so that little is lost in the difference
    r = (a - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))  # 2ⁿ, as the bits of a float
    p = np.float32(1 / 720) * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1)
    p = p * r + np.float32(1)
    return p * power.view(np.float32)

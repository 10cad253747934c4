"""What every test shares: the folder of real data, and checked tensor shapes."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        type=Path,
        default=SHARED / "golden",
        help="folder of golden files: <model>-<image>.npz",
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, weights and golden files beside the project."""
    if not SHARED.is_dir():
        pytest.skip("no folder of shared data beside the project")
    return SHARED

"""Draw the picture of the README: three photos side by side, with what the model finds in them.

    python examples/readme_picture.py [docs/pictures/detections.jpg]

The photos come with matplotlib and scikit-image: Grace Hopper (US Navy) and Eileen Collins (NASA),
both public domain, and Chelsea the cat (Stéfan van der Walt, CC0).
"""

import sys
from importlib import resources
from pathlib import Path

import torch
from PIL import Image
from skimage import data

import sightline
from sightline import images
from sightline.explain.draw import Style, draw
from sightline.files import atomic_write

HEIGHT, GAP = 480, 12
SCORE = 0.5


def photos() -> list[torch.Tensor]:
    """The three images, upright RGB, (3, H, W) bytes."""
    grace = resources.files("matplotlib") / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    arrays = [data.astronaut(), data.cat() if hasattr(data, "cat") else data.chelsea()]
    return [
        images.read(Path(str(grace))),
        *(torch.from_numpy(array).permute(2, 0, 1).contiguous() for array in arrays),
    ]


def main() -> None:
    goal = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures/detections.jpg")
    model = sightline.load("retinanet", score=SCORE)
    panels: list[Image.Image] = []
    for image in photos():
        found = model(image)
        print(", ".join(f"{name} {score:.2f}" for name, score, _ in found) or "nothing")
        # Drawn at the size shown, so that lines and letters are equal in all three.
        width = round(image.shape[2] * HEIGHT / image.shape[1])
        small = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((width, HEIGHT))
        scale = HEIGHT / image.shape[1]
        panels.append(
            draw(images.read(small), _scaled(found, scale, width), Style(line=3, font=17))
        )
    sheet = Image.new("RGB", (sum(p.width + GAP for p in panels) - GAP, HEIGHT), "white")
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width + GAP
    with atomic_write(goal) as temporary:
        sheet.save(temporary, "JPEG", quality=90, optimize=True)
    print(goal)


def _scaled(found: sightline.Detections, scale: float, width: int) -> sightline.Detections:
    from dataclasses import replace

    return replace(found, boxes=found.boxes * scale, size=(HEIGHT, width))


if __name__ == "__main__":
    main()

"""What only some builds of OpenCV have: its contributed modules."""

import argparse

import cv2


def require(parser: argparse.ArgumentParser, name: str) -> None:
    """End with a hint where this OpenCV has no `name`."""
    if not hasattr(cv2, name):
        parser.exit(2, f"this OpenCV has no {name}: install opencv-contrib-python\n")

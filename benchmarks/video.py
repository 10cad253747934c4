"""Reading videos: frames a second beside OpenCV's, and memory over a long one.

    python benchmarks/video.py [CLIP …]        # reading, against cv2.VideoCapture
    python benchmarks/video.py --memory        # 20,000 frames: resident memory does not grow
    python benchmarks/video.py --tracks CLIP   # ids of the embedded model's objects in a clip

Without a clip one of 300 frames of 1280 × 720 is made. Both readers give RGB images; they run in
turns, and the best of three is told, in wall time and in processor time of all processes.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import sightline.video


def made(path: Path, count: int, size: tuple[int, int]) -> Path:
    """A clip of noise that moves sideways."""
    import av

    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 4, 3), np.uint8)
    noise = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(count):
            left = 2 * number % width
            part = np.ascontiguousarray(noise[:, left : left + width])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
        file.mux(stream.encode())
    return path


def ours(path: Path) -> int:
    return sum(1 for _ in sightline.video.frames(path))


def opencv(path: Path) -> int:
    import cv2

    capture, count = cv2.VideoCapture(str(path)), 0
    while True:
        good, image = capture.read()
        if not good:
            return count
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        count += 1


def used() -> float:
    """Seconds of processors that this process and those it ended have taken."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def compare(path: Path) -> None:
    readers: dict[str, Callable[[Path], int]] = {"sightline": ours, "OpenCV": opencv}
    best: dict[str, tuple[float, float, int]] = {}
    for _ in range(3):
        for name, read in readers.items():
            began, before = time.perf_counter(), used()
            count = read(path)
            found = (time.perf_counter() - began, used() - before, count)
            best[name] = min(best.get(name, found), found)
    print(path.name)
    for name, (wall, cpu, count) in best.items():
        print(
            f"  {name:9} {count:6,} frames  {count / wall:7.1f} frames/s  "
            f"{1e3 * cpu / count:6.2f} ms of processor a frame"
        )


def resident() -> int:
    """Bytes of memory of this process and its children, where the system tells."""
    total = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                status = (process / "stat").read_text().rpartition(")")[2].split()
                mine = int(process.name) == os.getpid() or int(status[1]) == os.getpid()
                total += int(status[21]) * os.sysconf("SC_PAGE_SIZE") if mine else 0
            except (OSError, IndexError):
                continue
    return total


def memory(count: int, folder: Path) -> None:
    path = made(folder / "long.avi", count, (144, 256))
    print(f"{count:,} frames of 256 × 144, {count * 144 * 256 * 3 / 1e9:.1f} GB of pixels")
    marks = []
    for number, _ in enumerate(sightline.video.frames(path), start=1):
        if number in (200, count // 4, count // 2, count):
            marks.append(resident() / 1e6)
            print(f"  after {number:7,} frames: {marks[-1]:7.1f} MB resident, decoder included")
    print(f"  growth from 200 frames on: {max(marks) - marks[0]:.1f} MB")


def tracks(path: Path, every: int) -> None:
    model, seen, frames = sightline.load("retinanet", score=0.4), {}, 0
    began = time.perf_counter()
    for _, found in model.video(path, every=every, track=True):
        frames += 1
        for name, track in zip(found.names, found.tracks.tolist(), strict=True):
            seen.setdefault(track, [name, 0])[1] += 1
    print(f"{path.name}: {frames / (time.perf_counter() - began):.1f} frames/s, {len(seen)} ids")
    for track, (name, hits) in seen.items():
        print(f"  #{track:<3} {name:12} in {hits} frames")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--tracks", type=Path)
    parser.add_argument("--every", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory:
            memory(options.frames, folder)
        elif options.tracks:
            tracks(options.tracks, options.every)
        else:
            for path in options.clips or [made(folder / "made.mp4", 300, (720, 1280))]:
                compare(path)


if __name__ == "__main__":
    main()

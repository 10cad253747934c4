"""Who came by: the objects of a video, each counted once, with the seconds that it was seen.

    python examples/count_tracks.py VIDEO [--model retinanet] [--score 0.3] [--every 1]

VIDEO is a file, a folder of images (`--fps`), an animated image, a camera or a stream; an object
keeps its id from frame to frame. Files that are no images need `pip install 'sightline[video]'`.
"""

import argparse
from collections import Counter

import sightline


def main() -> None:
    """Follow, note first and last sight, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video")
    parser.add_argument("--model", default="retinanet")
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--every", type=int, default=1, help="look at every so manieth frame")
    parser.add_argument(
        "--fps", type=float, default=25.0, help="frames a second of a folder of images"
    )
    given = parser.parse_args()
    model = sightline.load(given.model, score=given.score)
    clip = sightline.video.frames(given.video, every=given.every, rate=given.fps)
    seen: dict[int, tuple[str, float, float]] = {}
    for frame, found in model.video(clip, track=True):
        assert found.tracks is not None
        for track, name in zip(found.tracks.tolist(), found.names, strict=True):
            first = seen[track][1] if track in seen else frame.seconds
            seen[track] = (name, first, frame.seconds)
    for track, (name, first, last) in sorted(seen.items()):
        print(f"#{track} {name}: {first:.1f} – {last:.1f} s")
    counts = Counter(name for name, _, _ in seen.values())
    print(", ".join(f"{count} × {name}" for name, count in counts.most_common()) or "nobody")


if __name__ == "__main__":
    main()

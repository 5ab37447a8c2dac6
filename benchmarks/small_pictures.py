"""Store pictures of the documentation with few colours, in place.

python benchmarks/small_pictures.py [--colours 40] [--scale 0.75] PICTURE.png [PICTURE.png ...]

A picture that is already small comes out a little worse: start from the one that the program drew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import KDTree

COLOURS = 40
ALWAYS = ("#000000", "#ffffff")
KEPT = 2
"""So many of the most frequent colours (backgrounds, text) stay as they are."""
RARE = 0.35
"""Exponent of a colour's count: below 1 an outline of few pixels still gets a colour of its own."""


def write_small(
    image: Image.Image, path: Path, colours: int = COLOURS, exact: tuple[str, ...] = ()
) -> None:
    """Write as PNG with a palette.

    Args:
        image: the picture.
        path: where to.
        colours: size of the palette.
        exact: colours that the palette holds unchanged (``#rrggbb``), beside black, white and the
            most frequent ones.
    """
    pixels = np.asarray(image.convert("RGB"))
    found, place, counts = np.unique(
        pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True
    )
    named = {bytes.fromhex(colour.removeprefix("#")) for colour in (*ALWAYS, *exact)}
    named |= {row.astype(np.uint8).tobytes() for row in found[np.argsort(counts)[-KEPT:]]}
    weighted = np.repeat(found, np.maximum(1, np.rint(counts**RARE)).astype(int), axis=0)
    others = Image.fromarray(weighted[None]).quantize(
        colours - len(named), kmeans=4, dither=Image.Dither.NONE
    )
    chosen = others.getpalette() or []
    palette = np.frombuffer(b"".join(sorted(named)) + bytes(chosen), np.uint8).reshape(-1, 3)[
        :colours
    ]
    # Pillow's own search is inexact: white would become nearly white.
    nearest = KDTree(palette).query(found)[1].astype(np.uint8)
    small = Image.fromarray(nearest[place].reshape(pixels.shape[:2]), "P")
    small.putpalette(palette.tobytes())
    small.save(path, optimize=True)


def scaled(image: Image.Image, scale: float) -> Image.Image:
    """The picture at another width, height in proportion."""
    size = (round(image.width * scale), round(image.height * scale))
    return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Shrink what is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--colours", type=int, default=COLOURS)
    parser.add_argument("--scale", type=float, default=1.0)
    words = parser.parse_args()
    for path in words.pictures:
        with Image.open(path) as image:
            picture = image.convert("RGB") if words.scale == 1 else scaled(image, words.scale)
        write_small(picture, path, words.colours)
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()

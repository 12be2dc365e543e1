"""Pictures in and class names out: decode picture files, name ImageNet's classes.

A picture is a uint8 array (H, W, 3), RGB. Decoding needs Pillow, the optional extra "image"; it is
imported only where it is used. How pictures become the input of a network is in `preprocessing`,
whose functions are here as well.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from dsconv.arguments.numbers import integer
from dsconv.images.preprocessing import (
    Preprocessing,
    central_crop,
    check_pixels,
    normalise,
    pillow,
    preprocess,
    resize,
    resize_short_side,
)

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "Preprocessing",
    "central_crop",
    "labels",
    "load",
    "normalise",
    "preprocess",
    "resize",
    "resize_short_side",
]

# Pillow knows many more; some run other programs or are never photographs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Decode a picture file to RGB.

    The orientation in the EXIF data is applied. Greyscale, palettes, CMYK and 16 bits become RGB
    of 8 bits (65535 -> 255, rounded); transparent places show white; of several frames the first
    counts.

    Parameters
    ----------
    path
        A JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.

    Returns
    -------
    ndarray
        (H, W, 3) uint8.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be decoded, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    ImportError
        If Pillow is not installed.
    """
    image_module = pillow()
    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            with image_module.open(file, formats=_FORMATS) as picture:
                check_pixels(picture.width, picture.height)
                return np.array(_to_rgb(_upright(picture)))
        except image_module.UnidentifiedImageError as error:
            formats = ", ".join(_FORMATS)
            raise ValueError(
                f"{path}: cannot be read as a picture: not recognised as {formats}"
            ) from error
        except Exception as error:  # decoders fail in every way on damaged files
            raise ValueError(f"{path}: cannot be read as a picture: {error}") from error


def labels(count: int = 1000) -> list[str]:
    """English names of the ImageNet (ILSVRC 2012) classes, in the order of the logits.

    They are the names that torchvision's weights carry as "categories" (BSD-3-Clause): the first
    synonym of each WordNet synset, made unique.

    Parameters
    ----------
    count
        1000, or 1001 for networks whose class 0 is "background".

    Raises
    ------
    ValueError
        For any other number.
    """
    count = integer(count, "count")
    if count not in (1000, 1001):
        raise ValueError(f"count must be 1000 or 1001 (with background first), got {count}")
    path = os.path.join(os.path.dirname(__file__), "labels.txt")
    with open(path, encoding="utf-8") as file:
        return ["background"] * (count - 1000) + file.read().splitlines()


def _upright(picture: Image.Image) -> Image.Image:
    """Mirrored and turned as the EXIF tag 274 says, for the values 2 to 8."""
    from PIL.Image import Transpose

    picture.load()  # before the tag is read: Pillow itself turns some formats here, and drops it
    try:
        orientation = picture.getexif().get(274)
    except Exception:  # a damaged EXIF block does not spoil the picture
        return picture
    methods = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(methods[orientation]) if orientation in methods else picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow's as RGB of 8 bits."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("pixels in floating point have no fixed range")
    if picture.mode.startswith("I"):
        wide = np.asarray(picture)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("pixels beyond 16 bits")
        narrow = (wide.astype(np.uint32) * 255 + 32767) // 65535
        if "transparency" in picture.info:
            narrow[wide == picture.info["transparency"]] = 255
        picture = Image.fromarray(narrow.astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")

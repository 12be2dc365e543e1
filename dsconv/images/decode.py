"""Read picture files as arrays.

A picture is a uint8 array (H, W, 3), RGB. Decoding needs Pillow, the optional extra "image", which
is imported at the first use.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from dsconv.arguments.files import open_file
from dsconv.images.preprocessing import check_pixels, pillow

if TYPE_CHECKING:
    from PIL import Image

# Pillow reads many more formats. They are refused because some start other programs, and the rest
# never hold photographs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def load(path: str | os.PathLike[str]) -> np.ndarray:
    """Decode a picture file to RGB.

    The picture is turned upright as its EXIF data say. Greyscale, palettes, CMYK and 16 bits become
    RGB of 8 bits (65535 -> 255, rounded). Transparent pixels become white. If the file has several
    frames, the first one is returned.

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
        If the file cannot be decoded, is no regular file, or has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    ImportError
        If Pillow is not installed.
    """
    image_module = pillow()
    path = os.fspath(path)
    with open_file(path) as file:
        try:
            with image_module.open(file, formats=_FORMATS) as picture:
                check_pixels(picture.width, picture.height)
                return np.array(_to_rgb(_upright(picture)))
        except image_module.UnidentifiedImageError as error:
            formats = ", ".join(_FORMATS)
            raise ValueError(
                f"{path}: cannot be read as a picture: not recognised as {formats}"
            ) from error
        except Exception as error:  # on damaged files, decoders raise errors of every type
            raise ValueError(f"{path}: cannot be read as a picture: {error}") from error


def _upright(picture: Image.Image) -> Image.Image:
    """Mirror and turn a picture as its EXIF orientation, tag 274, says."""
    from PIL.Image import Transpose

    # Pillow itself turns some formats when it loads them, and drops the tag.
    picture.load()
    try:
        orientation = picture.getexif().get(274)
    except Exception:  # the EXIF data are damaged, but the pixels may be good
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
    """Convert a picture of any Pillow mode to RGB of 8 bits."""
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("its pixels are floating point numbers, which have no fixed range")
    if picture.mode.startswith("I"):
        wide = np.asarray(picture)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"its pixels are {wide.min()} to {wide.max()}, beyond 16 bits")
        narrow = (wide.astype(np.uint32) * 255 + 32767) // 65535
        if "transparency" in picture.info:
            narrow[wide == picture.info["transparency"]] = 255
        picture = Image.fromarray(narrow.astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")

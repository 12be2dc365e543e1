"""Pictures in and class names out: decode, resize, crop, normalise, labels.

A picture is a uint8 array (H, W, 3), RGB. Decoding and resizing need Pillow, the optional extra
"image"; it is imported only where it is used.

The evaluation that both networks' published accuracies follow: the short side resized to
resolution / 0.875 (256 for 224), the central square cropped, then the normalisation of the
framework that trained the weights.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsconv._geometry import Pair, integer, pair

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["central_crop", "labels", "load", "normalise", "preprocess", "resize_short_side"]

# Pillow knows many more; some run other programs or are never photographs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

# (x - mean) / deviation, for x from 0 to 255 and the channels R, G, B
_NORMALISATIONS = {
    "tensorflow": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),  # x / 127.5 - 1
    "torchvision": (
        (0.485 * 255, 0.456 * 255, 0.406 * 255),
        (0.229 * 255, 0.224 * 255, 0.225 * 255),
    ),
}


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
    pillow = _pillow()
    from PIL import ImageOps

    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            with pillow.open(file, formats=_FORMATS) as picture:
                _check_pixels(picture.width, picture.height)
                return np.array(_to_rgb(ImageOps.exif_transpose(picture)))
        except Exception as error:  # decoders fail in every way on damaged files
            raise ValueError(f"{path}: cannot be read as a picture: {error}") from error


def resize_short_side(image: np.ndarray, size: int) -> np.ndarray:
    """Resize a picture so that its short side has `size` pixels, and its long side in proportion.

    Bilinear with the triangle widened when shrinking (antialiased), as in Pillow and in
    torchvision's evaluation; the long side is size * long / short rounded down.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    size
        Pixels of the short side, at least 1.

    Returns
    -------
    ndarray
        (size, W', 3) or (H', size, 3) uint8; a copy.

    Raises
    ------
    TypeError, ValueError
        For another dtype or shape, or where the result would have more pixels than
        `PIL.Image.MAX_IMAGE_PIXELS`.
    ImportError
        If Pillow is not installed.
    """
    _check_picture(image, "image", ranks=(3,))
    size = integer(size, "size")
    pillow = _pillow()
    height, width = image.shape[:2]
    short = min(height, width)
    height, width = size * height // short, size * width // short
    _check_pixels(width, height)
    resample = pillow.Resampling.BILINEAR
    return np.array(pillow.fromarray(image).resize((width, height), resample))


def central_crop(image: np.ndarray, size: Pair) -> np.ndarray:
    """The central part of a picture.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    size
        Height and width of the part: an int or a pair. Where the margins cannot be equal, the one
        at the top or left is a pixel smaller.

    Returns
    -------
    ndarray
        (height, width, 3) uint8; a view.

    Raises
    ------
    TypeError, ValueError
        For another dtype or shape, or a part larger than the picture.
    """
    _check_picture(image, "image", ranks=(3,))
    height, width = pair(size, "size")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise ValueError(
            f"size {(height, width)} is larger than the picture, which is {image.shape[:2]}"
        )
    return image[top : top + height, left : left + width]


def normalise(image: np.ndarray, family: str) -> np.ndarray:
    """Pixels as the weights of a family expect them: (x - mean) / deviation for each channel.

    Parameters
    ----------
    image
        (H, W, 3) or (N, H, W, 3) uint8.
    family
        "tensorflow": x / 127.5 - 1, for Google's MobileNets. "torchvision": x / 255, then mean
        (.485, .456, .406) and deviation (.229, .224, .225), for torchvision's networks.

    Returns
    -------
    ndarray
        The same shape, float32.

    Raises
    ------
    TypeError, ValueError
        For another dtype or shape, or an unknown family.
    """
    _check_picture(image, "image", ranks=(3, 4))
    if family not in _NORMALISATIONS:
        raise ValueError(f"family must be one of {sorted(_NORMALISATIONS)}, got {family!r}")
    mean, deviation = (np.array(value, np.float32) for value in _NORMALISATIONS[family])
    result = np.subtract(image, mean, dtype=np.float32, order="C")
    result /= deviation
    return result


def preprocess(image: np.ndarray, resolution: int, family: str) -> np.ndarray:
    """From a picture of any size to a network's input: resize, crop, normalise.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    resolution
        Pixels of a side of the input; the short side is resized to resolution / 0.875 first.
    family
        As in `normalise`.

    Returns
    -------
    ndarray
        (resolution, resolution, 3) float32, C-contiguous.
    """
    resolution = integer(resolution, "resolution")
    resized = resize_short_side(image, round(resolution / 0.875))
    return normalise(central_crop(resized, resolution), family)


def labels(count: int = 1000) -> list[str]:
    """English names of the ImageNet (ILSVRC 2012) classes, in the order of the logits.

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
    text = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8")
    return ["background"] * (count - 1000) + text.splitlines()


def _pillow() -> Any:
    """The module PIL.Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'dsconv[image]'") from error
    return Image


def _check_pixels(width: int, height: int) -> None:
    limit = _pillow().MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ValueError(
            f"a picture of {width} x {height} pixels; at most {limit} are allowed "
            "(PIL.Image.MAX_IMAGE_PIXELS)"
        )


def _check_picture(image: object, name: str, ranks: tuple[int, ...]) -> None:
    allowed = " or ".join({3: "(H, W, 3)", 4: "(N, H, W, 3)"}[rank] for rank in ranks)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name} must be a uint8 array {allowed}, got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8, 0 to 255, got {image.dtype}")
    if image.ndim not in ranks or image.shape[-1] != 3 or 0 in image.shape[-3:]:
        raise ValueError(f"{name} must have shape {allowed}, not empty, got {image.shape}")


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
        picture = Image.fromarray(narrow.astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")

"""Prepare pictures as networks expect them: resize, crop, normalise.

A network answers well only if its pictures are prepared as they were when it was evaluated, so each
model carries a `Preprocessing`. Most networks take the central square of a picture whose short side
is resized to resolution / 0.875 (256 for 224). A picture is a uint8 array (H, W, 3), RGB. Resizing
needs Pillow, the optional extra "image", which is imported at the first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.numbers import Pair, integer, pair

# Mean and deviation of the channels R, G, B, for pixels from 0 to 255.
_NORMALISATIONS = {
    "tensorflow": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),  # x / 127.5 - 1
    "torchvision": (
        (0.485 * 255, 0.456 * 255, 0.406 * 255),
        (0.229 * 255, 0.224 * 255, 0.225 * 255),
    ),
}

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


class Preprocessing(NamedTuple):
    """The last three arguments of `preprocess`: how a network's pictures are prepared."""

    family: str
    crop: float | None = 0.875
    interpolation: str = "bilinear"

    def to_text(self) -> str:
        """Return the three values as words, for a file."""
        return " ".join(map(str, self))

    @classmethod
    def from_text(cls, text: str) -> Preprocessing:
        """Read and check a text of `to_text`, because the file may be damaged.

        Raises
        ------
        ValueError
            If the text is not three words, or a word is not allowed.
        """
        words = text.split(" ")
        if len(words) != 3:
            got = repr(text[:80])
            raise ValueError(f"preprocessing must be family, crop and interpolation, got {got}")
        family, word, interpolation = words
        if family not in _NORMALISATIONS or interpolation not in _INTERPOLATIONS:
            allowed = f"{tuple(_NORMALISATIONS)} and {_INTERPOLATIONS}"
            raise ValueError(f"unknown preprocessing {text[:80]!r}; its names must be of {allowed}")
        crop = None if word == "None" else float(word)
        _check_crop(crop)
        return cls(family, crop, interpolation)


def resize(image: np.ndarray, size: Pair, interpolation: str = "bilinear") -> np.ndarray:
    """Resize a picture.

    The filters are Pillow's. When a picture shrinks, the bilinear and bicubic filters are widened
    (antialiased), as in torchvision's evaluation. The bicubic filter has a = -0.5.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    size
        Height and width: an int or a pair.
    interpolation
        "nearest", "bilinear" or "bicubic".

    Returns
    -------
    ndarray
        (height, width, 3) uint8; a copy.

    Raises
    ------
    TypeError, ValueError
        If the picture has another dtype or shape, the interpolation is unknown, or the result
        would have more pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    ImportError
        If Pillow is not installed.
    """
    _check_picture(image, "image", ranks=(3,))
    height, width = pair(size, "size")
    _check_choice("interpolation", interpolation, _INTERPOLATIONS)
    image_module = pillow()
    check_pixels(width, height)
    resample = image_module.Resampling[interpolation.upper()]
    return np.array(image_module.fromarray(image).resize((width, height), resample))


def resize_short_side(image: np.ndarray, size: int, interpolation: str = "bilinear") -> np.ndarray:
    """Resize a picture in proportion, so that its short side has `size` pixels.

    The long side becomes size * long / short, rounded down as in torchvision. Parameters and errors
    are those of `resize`, but size must be one integer.

    Returns
    -------
    ndarray
        (size, W', 3) or (H', size, 3) uint8; a copy.
    """
    _check_picture(image, "image", ranks=(3,))
    size = integer(size, "size")
    height, width = image.shape[:2]
    short = min(height, width)
    return resize(image, (size * height // short, size * width // short), interpolation)


def central_crop(image: np.ndarray, size: Pair) -> np.ndarray:
    """Cut out the central part of a picture.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    size
        Height and width of the part: an int or a pair. If two opposite margins cannot be equal,
        the top or left one is the even number of the two, as in torchvision's CenterCrop.

    Returns
    -------
    ndarray
        (height, width, 3) uint8; a view.

    Raises
    ------
    TypeError, ValueError
        If the picture has another dtype or shape, or is smaller than the part.
    """
    _check_picture(image, "image", ranks=(3,))
    height, width = pair(size, "size")
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    if height > image.shape[0] or width > image.shape[1]:
        raise ValueError(
            f"size {(height, width)} is larger than the picture, which is {image.shape[:2]}"
        )
    return image[top : top + height, left : left + width]


def normalise(image: np.ndarray, family: str) -> np.ndarray:
    """Compute (x - mean) / deviation for each channel, as the weights of a family expect it.

    Parameters
    ----------
    image
        (H, W, 3) or (N, H, W, 3) uint8.
    family
        "tensorflow" (Google's MobileNets): x / 127.5 - 1. "torchvision": x / 255, then mean
        (.485, .456, .406) and deviation (.229, .224, .225).

    Returns
    -------
    ndarray
        The same shape, float32.

    Raises
    ------
    TypeError, ValueError
        If the picture has another dtype or shape, or the family is unknown.
    """
    _check_picture(image, "image", ranks=(3, 4))
    _check_choice("family", family, sorted(_NORMALISATIONS))
    mean, deviation = (np.array(value, np.float32) for value in _NORMALISATIONS[family])
    result = np.subtract(image, mean, dtype=np.float32, order="C")
    result /= deviation
    return result


def preprocess(
    image: np.ndarray,
    resolution: int,
    family: str,
    crop: float | None = 0.875,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """Resize, crop and normalise a picture of any size to a network's input.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    resolution
        Height and width of the input, in pixels.
    family
        See `normalise`.
    crop
        The input is the central square of the resized picture, and `crop` is its side divided by
        the short side of that picture: the short side is resized to resolution / crop, rounded
        down. None resizes the whole picture to the square, out of proportion.
    interpolation
        See `resize`.

    Returns
    -------
    ndarray
        (resolution, resolution, 3) float32, C-contiguous.
    """
    resolution = integer(resolution, "resolution")
    if crop is None:
        return normalise(resize(image, resolution, interpolation), family)
    _check_crop(crop)
    # 1e-6 is added because 224 / (224 / 232) may fall one unit in the last place short of 232.
    resized = resize_short_side(image, int(resolution / crop + 1e-6), interpolation)
    return normalise(central_crop(resized, resolution), family)


def pillow() -> Any:
    """Import and return the module PIL.Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'dsconv[image]'") from error
    return Image


def check_pixels(width: int, height: int) -> None:
    """Raise a ValueError if a picture has more pixels than `PIL.Image.MAX_IMAGE_PIXELS`."""
    limit = pillow().MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise ValueError(
            f"a picture of {width} x {height} pixels is too large; at most {limit} are allowed "
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


def _check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {tuple(allowed)}, got {value!r}")


def _check_crop(crop: float | None) -> None:
    if crop is not None and not 0 < crop <= 1:
        raise ValueError(f"crop must be above 0 and at most 1, got {crop}")

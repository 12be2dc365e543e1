"""Pictures as networks expect them: resize, crop, normalise.

What a network was evaluated with is part of it: `Preprocessing` says how its pictures are prepared.
Most common is the short side resized to resolution / 0.875 (256 for 224) and the central square of
that. A picture is a uint8 array (H, W, 3), RGB. Resizing needs Pillow, the optional extra "image";
it is imported only where it is used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dsconv.arguments.numbers import Pair, integer, pair

__all__ = [
    "Preprocessing",
    "central_crop",
    "check_pixels",
    "normalise",
    "pillow",
    "preprocess",
    "resize",
    "resize_short_side",
]

# (x - mean) / deviation, for x from 0 to 255 and the channels R, G, B
_NORMALISATIONS = {
    "tensorflow": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),  # x / 127.5 - 1
    "torchvision": (
        (0.485 * 255, 0.456 * 255, 0.406 * 255),
        (0.229 * 255, 0.224 * 255, 0.225 * 255),
    ),
}

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")


class Preprocessing(NamedTuple):
    """How pictures become the input of a network: the arguments of `preprocess` after the picture
    and the resolution.
    """

    family: str  # of `normalise`
    crop: float | None = 0.875
    interpolation: str = "bilinear"

    def to_text(self) -> str:
        """The three as words."""
        return " ".join(map(str, self))

    @classmethod
    def from_text(cls, text: str) -> Preprocessing:
        """What `to_text` made, out of a file that nobody vouches for; ValueError if unfit."""
        words = text.split(" ")
        if len(words) != 3:
            got = repr(text[:80])
            raise ValueError(f"preprocessing must be family, crop and interpolation, got {got}")
        family, word, interpolation = words
        if family not in _NORMALISATIONS or interpolation not in _INTERPOLATIONS:
            raise ValueError(f"unknown preprocessing {text[:80]!r}")
        crop = None if word == "None" else float(word)
        if crop is not None and not 0 < crop <= 1:
            raise ValueError(f"crop must be above 0 and at most 1, got {crop}")
        return cls(family, crop, interpolation)


def resize(image: np.ndarray, size: Pair, interpolation: str = "bilinear") -> np.ndarray:
    """Resize a picture.

    Pillow's filters: bilinear and bicubic are widened when shrinking (antialiased), as in
    torchvision's evaluation; bicubic has a = -0.5.

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
        For another dtype or shape, an unknown interpolation, or where the result would have more
        pixels than `PIL.Image.MAX_IMAGE_PIXELS`.
    ImportError
        If Pillow is not installed.
    """
    _check_picture(image, "image", ranks=(3,))
    height, width = pair(size, "size")
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(f"interpolation must be one of {_INTERPOLATIONS}, got {interpolation!r}")
    image_module = pillow()
    check_pixels(width, height)
    resample = image_module.Resampling[interpolation.upper()]
    return np.array(image_module.fromarray(image).resize((width, height), resample))


def resize_short_side(image: np.ndarray, size: int, interpolation: str = "bilinear") -> np.ndarray:
    """Resize a picture so that its short side has `size` pixels, and its long side in proportion.

    The long side is size * long / short rounded down, as in torchvision. Parameters and errors
    are those of `resize`; size is at least 1.

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
    """The central part of a picture.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    size
        Height and width of the part: an int or a pair. Where the margins cannot be equal, the one
        at the top or left is the even one of the two, as in torchvision's CenterCrop.

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
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    if height > image.shape[0] or width > image.shape[1]:
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


def preprocess(
    image: np.ndarray,
    resolution: int,
    family: str,
    crop: float | None = 0.875,
    interpolation: str = "bilinear",
) -> np.ndarray:
    """From a picture of any size to a network's input: resize, crop, normalise.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    resolution
        Pixels of a side of the input.
    family
        As in `normalise`.
    crop
        Side of the central square that is cropped out of the resized picture, to the short side
        of that: the short side is resized to resolution / crop, rounded down. None: no crop, the
        whole picture is resized to the square, not in proportion.
    interpolation
        As in `resize`.

    Returns
    -------
    ndarray
        (resolution, resolution, 3) float32, C-contiguous.
    """
    resolution = integer(resolution, "resolution")
    if crop is None:
        return normalise(resize(image, resolution, interpolation), family)
    if not 0 < crop <= 1:
        raise ValueError(f"crop must be above 0 and at most 1, got {crop}")
    # 224 / (224 / 232) may fall an ulp short of 232
    resized = resize_short_side(image, int(resolution / crop + 1e-6), interpolation)
    return normalise(central_crop(resized, resolution), family)


def pillow() -> Any:
    """The module PIL.Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures need Pillow: pip install 'dsconv[image]'") from error
    return Image


def check_pixels(width: int, height: int) -> None:
    """ValueError for more pixels than `PIL.Image.MAX_IMAGE_PIXELS`."""
    limit = pillow().MAX_IMAGE_PIXELS
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

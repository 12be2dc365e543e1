"""Resizing, cropping, normalising and naming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dsconv import images

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def noise(height: int, width: int) -> np.ndarray:
    shape = (height, width, 3)
    return np.random.default_rng(height * width).integers(0, 256, shape, dtype=np.uint8)


class TestResizeAndCrop:
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
    def test_shape(self, height, width, size):
        resized = images.resize_short_side(noise(height, width), size)
        short, long = sorted(resized.shape[:2])
        assert short == size and long == size * max(height, width) // min(height, width)
        assert (resized.shape[0] <= resized.shape[1]) == (height <= width) or short == long

    def test_same_size_is_the_same_picture(self):
        np.testing.assert_array_equal(images.resize_short_side(noise(5, 8), 5), noise(5, 8))

    def test_halving_is_the_widened_triangle(self):
        row = np.repeat(np.array([0, 0, 0, 0, 240, 0, 0, 0], np.uint8)[:, None], 8, axis=1)
        resized = images.resize_short_side(np.repeat(row[..., None], 3, axis=2), 4)
        # weights 1/8, 3/8, 3/8, 1/8 at the distances 1.5, .5, .5, 1.5
        assert resized[:, 0, 0].tolist() == [0, 30, 90, 0]

    def test_does_not_grow_without_bound(self):
        with pytest.raises(ValueError, match="pixels"):
            images.resize_short_side(noise(1, 100_000), 224)

    @given(st.integers(1, 9), st.integers(1, 9), st.data())
    def test_crop(self, height, width, data):
        rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
        picture = noise(height, width)
        crop = images.central_crop(picture, (rows, columns))
        top, left = round((height - rows) / 2), round((width - columns) / 2)
        for before, margin in ((top, height - rows), (left, width - columns)):
            assert abs(margin - 2 * before) <= 1  # in the middle
            assert margin % 2 == 0 or before % 2 == 0  # or half a pixel off, to the even side
        np.testing.assert_array_equal(crop, picture[top : top + rows, left : left + columns])

    @pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
    def test_resize_to_a_shape(self, name):
        """Compare with Pillow's filters, whose sizes are (width, height)."""
        resized = images.resize(noise(9, 14), (5, 23), name)
        expected = Image.fromarray(noise(9, 14)).resize((23, 5), Image.Resampling[name.upper()])
        np.testing.assert_array_equal(resized, np.asarray(expected), strict=True)

    def test_crop_larger_than_the_picture(self):
        with pytest.raises(ValueError, match=r"\(5, 5\) is larger.*\(4, 9\)"):
            images.central_crop(noise(4, 9), 5)

    @pytest.mark.parametrize("name", ["chelsea", "coffee"])
    def test_the_golden_crops_bit_for_bit(self, shared: Path, name):
        picture = images.load(shared / "images" / f"{name}.png")
        crop = images.central_crop(images.resize_short_side(picture, 256), 224)
        with np.load(shared / "golden" / "golden_logits.npz") as golden:
            expected = golden["images"][golden["names"].tolist().index(name)]
        np.testing.assert_array_equal(crop, expected, strict=True)

    @pytest.mark.parametrize(
        "name", ["burger.jpg", "cats_and_dogs.jpg", "chelsea.png", "coffee.png", "sparrow.png"]
    )
    def test_real_pictures(self, shared: Path, name):
        result = images.preprocess(images.load(shared / "images" / name), 192, "torchvision")
        assert result.shape == (192, 192, 3) and result.dtype == np.float32
        assert result.flags.c_contiguous and result.std() > 0.1


class TestPreprocess:
    @pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic"])
    @pytest.mark.parametrize("crop, size", [(0.875, 256), (0.9, 248), (224 / 232, 232), (1, 224)])
    def test_short_side_and_crop(self, crop, size, name):
        picture = noise(90, 70)
        resized = images.resize_short_side(picture, size, name)
        assert resized.shape == (size * 90 // 70, size, 3)
        expected = images.normalise(images.central_crop(resized, 224), "torchvision")
        ours = images.preprocess(picture, 224, "torchvision", crop, name)
        np.testing.assert_array_equal(ours, expected, strict=True)

    def test_without_crop_the_whole_picture(self):
        picture = noise(90, 70)
        ours = images.preprocess(picture, 64, "tensorflow", None, "nearest")
        expected = images.normalise(images.resize(picture, 64, "nearest"), "tensorflow")
        np.testing.assert_array_equal(ours, expected, strict=True)

    def test_unknown_rules(self):
        with pytest.raises(ValueError, match="interpolation must be one of .*'lanczos'"):
            images.preprocess(noise(9, 9), 4, "tensorflow", 0.875, "lanczos")
        for crop in (0, -0.5, 1.1, float("nan")):
            with pytest.raises(ValueError, match="crop must be above 0 and at most 1"):
                images.preprocess(noise(9, 9), 4, "tensorflow", crop)


class TestNormalise:
    @pytest.mark.parametrize(
        ("family", "mean", "deviation"),
        [
            ("tensorflow", [0.5] * 3, [0.5] * 3),
            ("torchvision", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ],
    )
    def test_formula(self, family, mean, deviation):
        every = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
        ours = images.normalise(every, family)
        exact = (every / 255 - mean) / deviation
        # mean, deviation, difference and quotient are rounded once each
        bound = 4 * np.finfo(np.float32).eps * (every / 255 + mean) / deviation
        assert ours.dtype == np.float32
        assert (np.abs(ours - exact) <= bound).all()

    def test_batches_and_views(self):
        batch = np.stack([noise(4, 6), noise(4, 6)[::-1]])
        whole = images.normalise(batch, "torchvision")
        assert whole.shape == batch.shape
        for one, pixels in zip(whole, batch, strict=True):
            np.testing.assert_array_equal(one, images.normalise(pixels, "torchvision"))
        turned = images.normalise(batch[0].swapaxes(0, 1)[::-1], "torchvision")
        np.testing.assert_array_equal(turned, whole[0].swapaxes(0, 1)[::-1])
        assert turned.flags.c_contiguous
        assert images.normalise(batch[:0], "tensorflow").shape == (0, 4, 6, 3)

    def test_unknown_family(self):
        with pytest.raises(ValueError, match="tensorflow.*torchvision.*'caffe'"):
            images.normalise(noise(2, 2), "caffe")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: images.resize_short_side(x, 2),
        lambda x: images.central_crop(x, 1),
        lambda x: images.normalise(x, "tensorflow"),
        lambda x: images.preprocess(x, 2, "tensorflow"),
    ],
)
class TestBadPictures:
    def test_dtype(self, call):
        for dtype in (np.float32, bool, np.int16):
            with pytest.raises(TypeError, match=f"image must be uint8.*{np.dtype(dtype)}"):
                call(noise(3, 3).astype(dtype))
        for bad in (noise(3, 3).tolist(), "a.png", None):
            with pytest.raises(TypeError, match=f"image must be.*{type(bad).__name__}"):
                call(bad)

    def test_shape(self, call):
        for shape in ((3, 3), (3, 3, 1), (3, 3, 4), (1, 1, 3, 3, 3), (0, 3, 3), (3, 0, 3), ()):
            with pytest.raises(ValueError, match="image must have shape"):
                call(np.zeros(shape, np.uint8))


def test_bad_sizes():
    for size in (0, -1):
        for function in (images.resize_short_side, images.central_crop):
            with pytest.raises(ValueError, match="at least 1"):
                function(noise(3, 3), size)
        with pytest.raises(ValueError, match="resolution must be at least 1"):
            images.preprocess(noise(3, 3), size, "tensorflow")
    with pytest.raises(TypeError, match="size must be an integer"):
        images.resize_short_side(noise(3, 3), 2.5)


class TestLabels:
    def test_known_classes(self):
        names = images.labels()
        assert len(names) == len(set(names)) == 1000
        assert all(name == name.strip() and name for name in names)
        known = {
            0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 282: "tiger cat",
            285: "Egyptian cat", 340: "zebra", 388: "giant panda", 504: "coffee mug",
            817: "sports car", 933: "cheeseburger", 934: "hotdog", 954: "banana",
            967: "espresso", 999: "toilet tissue",
        }  # fmt: skip
        assert {index: names[index] for index in known} == known

    def test_background_comes_first(self):
        assert images.labels(1001) == ["background", *images.labels(1000)]

    def test_other_numbers(self):
        for count in (1, 999, 1002):
            with pytest.raises(ValueError, match=f"1000 or 1001.*got {count}"):
                images.labels(count)
        for count in (1000.0, "1000", True):
            with pytest.raises(TypeError, match="count must be an integer"):
                images.labels(count)

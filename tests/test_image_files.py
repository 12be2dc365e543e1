"""Decoding of picture files: formats, modes, orientation, and what is refused."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from dsconv import images

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def noise(height: int, width: int) -> np.ndarray:
    shape = (height, width, 3)
    return np.random.default_rng(height * width).integers(0, 256, shape, dtype=np.uint8)


def saved(path: Path, picture, **options) -> np.ndarray:
    picture.save(path, **options)
    return images.load(path)


class TestLoad:
    @pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm"])
    def test_lossless_formats(self, tmp_path, name):
        pixels = noise(5, 7)
        loaded = saved(tmp_path / name, Image.fromarray(pixels))
        np.testing.assert_array_equal(loaded, pixels, strict=True)
        assert loaded.flags.writeable and loaded.flags.c_contiguous

    def test_jpeg(self, tmp_path):
        flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
        loaded = saved(tmp_path / "a.jpg", Image.fromarray(flat), quality=100)
        # a flat picture has only a DC coefficient; YCbCr and back rounds by a few units
        assert np.abs(loaded.astype(int) - flat).max() <= 3

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation(self, tmp_path, orientation):
        upright = noise(4, 6)
        # EXIF 2.3, tag 274: which visual sides the first stored row and column are
        stored = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.swapaxes(0, 1),
            6: np.rot90(upright, 1),
            7: upright[::-1, ::-1].swapaxes(0, 1),
            8: np.rot90(upright, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = Image.fromarray(np.ascontiguousarray(stored))
        np.testing.assert_array_equal(saved(tmp_path / "a.png", picture, exif=exif), upright)

    def test_greyscale_and_black_and_white(self, tmp_path):
        grey = noise(3, 4)[..., 0]
        expected = np.repeat(grey[..., None], 3, axis=2)
        np.testing.assert_array_equal(saved(tmp_path / "a.png", Image.fromarray(grey)), expected)
        bits = Image.fromarray(grey > 127)
        np.testing.assert_array_equal(
            saved(tmp_path / "b.png", bits), np.where(expected > 127, 255, 0)
        )

    def test_sixteen_bits_keep_their_range(self, tmp_path):
        wide = np.array([[0, 128, 129, 257, 32768, 65535 - 129, 65535 - 128, 65535]], np.uint16)
        loaded = saved(tmp_path / "a.png", Image.fromarray(wide))
        # x / 257 to the nearest integer
        assert loaded[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]
        assert (loaded == loaded[..., :1]).all()

    def test_sixteen_bits_in_tiff(self, tmp_path):
        wide = np.array([[0, 257, 65535]], np.uint16)
        for order in ("<", ">"):
            mode = "I;16" if order == "<" else "I;16B"
            picture = Image.frombytes(mode, (3, 1), wide.astype(f"{order}u2").tobytes())
            loaded = saved(tmp_path / "a.tiff", picture)
            assert loaded[0, :, 0].tolist() == [0, 1, 255]

    @pytest.mark.parametrize("dtype", [np.int32, np.float32])
    def test_numbers_without_a_range_are_refused(self, tmp_path, dtype):
        picture = Image.fromarray(np.array([[-1, 10**6]], dtype))
        with pytest.raises(ValueError, match=r"a\.tiff.*(16 bits|floating point)"):
            saved(tmp_path / "a.tiff", picture)

    def test_transparency_shows_white(self, tmp_path):
        pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
        loaded = saved(tmp_path / "a.png", Image.fromarray(pixels))
        # 51 / 255 = one fifth of black over four fifths of white
        assert loaded.tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
        grey = Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8))
        assert grey.mode == "LA"
        assert saved(tmp_path / "b.png", grey)[..., 0].tolist() == [[7, 255]]

    def test_palettes(self, tmp_path):
        picture = Image.new("P", (2, 1))
        picture.putpalette([1, 2, 3, 9, 8, 7])
        picture.putpixel((1, 0), 1)
        for name in ("a.png", "a.gif"):
            assert saved(tmp_path / name, picture).tolist() == [[[1, 2, 3], [9, 8, 7]]]
        see_through = saved(tmp_path / "b.png", picture, transparency=0)
        assert see_through.tolist() == [[[255, 255, 255], [9, 8, 7]]]

    def test_cmyk(self, tmp_path):
        picture = Image.new("CMYK", (1, 1), (0, 255, 255, 0))  # no cyan: red
        assert saved(tmp_path / "a.tiff", picture).tolist() == [[[255, 0, 0]]]

    def test_the_first_frame_counts(self, tmp_path):
        frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
        loaded = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
        assert loaded[0, 0].tolist() == [255, 0, 0]

    def test_missing_file_and_no_picture(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.png"):
            images.load(tmp_path / "none.png")
        for data in (b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
            (tmp_path / "a.png").write_bytes(data)
            with pytest.raises(ValueError, match=r"a\.png: cannot be read as a picture"):
                images.load(tmp_path / "a.png")
        with pytest.raises(TypeError):
            images.load(0)

    @pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, before it gives up
    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tiff", "a.bmp", "a.webp"])
    def test_truncated_and_spoilt_files(self, tmp_path, name):
        whole = io.BytesIO()
        Image.fromarray(noise(20, 20)).save(whole, Image.registered_extensions()[name[1:]])
        data = whole.getvalue()
        path = tmp_path / name
        for length in range(0, len(data) // 2, 7):
            path.write_bytes(data[:length])
            with pytest.raises(ValueError, match="cannot be read"):
                images.load(path)
        for i in range(0, len(data), 11):
            path.write_bytes(data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :])
            try:
                assert images.load(path).dtype == np.uint8
            except ValueError as error:
                assert name in str(error)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("side", [9_500, 2**31 - 1])
    def test_decompression_bomb(self, tmp_path, side):
        def chunk(kind: bytes, data: bytes) -> bytes:
            checksum = zlib.crc32(kind + data)
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        path = tmp_path / "a.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
        with pytest.raises(ValueError, match="pixels"):
            images.load(path)

    def test_without_pillow(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL", None)
        for call in (
            lambda: images.load("a.png"),
            lambda: images.resize_short_side(noise(2, 2), 1),
        ):
            with pytest.raises(ImportError, match=r"pip install 'dsconv\[image\]'"):
                call()
        assert len(images.labels()) == 1000
        assert images.normalise(noise(2, 2), "tensorflow").shape == (2, 2, 3)

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


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, bits: int, colour: int, row: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Make a PNG file of one row; colour: 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha."""
    header = struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0)
    body = b"".join(chunk(*part) for part in chunks)
    body += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def loaded(path: Path, data: bytes) -> np.ndarray:
    path.write_bytes(data)
    return images.load(path)


def encoded(picture, form: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def jpeg(picture, **options) -> bytes:
    return encoded(picture, "JPEG", **options)


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

    @pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.tiff"])
    def test_orientation_in_other_formats(self, tmp_path, name):
        halves = np.zeros((16, 32, 3), np.uint8)  # black on the left, white on the right
        halves[:, 16:] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # the first stored row is the right-hand side
        turned = saved(tmp_path / name, Image.fromarray(halves), exif=exif)
        assert turned.shape == (32, 16, 3)
        assert (turned[:8] < 16).all() and (turned[-8:] > 239).all()

    @pytest.mark.parametrize(
        ("directory", "turned"),
        [
            ("", False),
            ("FFFFFF7F", False),  # an offset beyond the end
            ("08000000 0500 1201", False),  # cut off
            ("08000000 0100 1201 0300 01000000 09000000 00000000", False),  # no such orientation
            ("08000000 0100 1201 0200 02000000 36000000 00000000", False),  # text
            # orientation 6, and a tag of a type that it must not have
            ("08000000 0200 1201 0300 01000000 06000000 0001 0C00 01000000 00000000 00", True),
        ],
    )
    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_damaged_exif_data_spoil_no_picture(self, tmp_path, directory, turned):
        exif = b"Exif\0\0II*\0" + bytes.fromhex(directory)
        shape = loaded(tmp_path / "a.jpg", jpeg(Image.new("RGB", (8, 4)), exif=exif)).shape
        assert shape == ((8, 4, 3) if turned else (4, 8, 3))

    def test_damaged_exif_data_in_a_text(self, tmp_path):
        """Load a PNG file whose EXIF data should be hexadecimal text, but are not."""
        text = (b"tEXt", b"Raw profile type exif\0\nexif\n9\nno digits")
        assert loaded(tmp_path / "a.png", png(1, 8, 0, b"\x07", text)).tolist() == [[[7] * 3]]

    def test_progressive_jpeg(self, tmp_path):
        picture = Image.fromarray(noise(24, 40))
        plain = loaded(tmp_path / "a.jpg", jpeg(picture))
        coded = jpeg(picture, progressive=True)
        assert b"\xff\xc2" in coded  # a frame header of that kind
        np.testing.assert_array_equal(loaded(tmp_path / "b.jpg", coded), plain)

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

    @pytest.mark.parametrize(
        ("file", "expected"),
        [
            # tRNS: the one grey or colour that is transparent, in as many bits as the pixels
            (png(2, 8, 0, b"\x07\x09", (b"tRNS", b"\0\x09")), [[7] * 3, [255] * 3]),
            (png(8, 1, 0, b"\x0f", (b"tRNS", b"\0\x01")), [[0] * 3] * 4 + [[255] * 3] * 4),
            (png(2, 16, 0, b"\x07\x07\x00\x09", (b"tRNS", b"\0\x09")), [[7] * 3, [255] * 3]),
            (png(2, 8, 2, b"\x07\x08\x09\x01\x02\x03", (b"tRNS", b"\0\1\0\2\0\3")),
             [[7, 8, 9], [255] * 3]),
            # tRNS: alpha of each palette entry; 51 / 255 is one fifth
            (png(3, 8, 3, b"\0\1\2", (b"PLTE", bytes([1, 2, 3, 0, 0, 0, 7, 7, 7])),
                 (b"tRNS", bytes([255, 51, 0]))),
             [[1, 2, 3], [204] * 3, [255] * 3]),
            # grey and alpha, colour and alpha, colour, of 16 bits
            (png(2, 16, 4, bytes([7, 7, 255, 255, 9, 9, 0, 0])), [[7] * 3, [255] * 3]),
            (png(2, 16, 6, bytes([1, 1, 2, 2, 3, 3, 255, 255, 9, 9, 9, 9, 9, 9, 0, 0])),
             [[1, 2, 3], [255] * 3]),
            (png(2, 16, 2, bytes([1, 1, 2, 2, 3, 3, 255, 255, 0, 0, 0, 0])),
             [[1, 2, 3], [255, 0, 0]]),
        ],
        ids=["grey", "bits", "grey16", "colour", "palette", "grey-alpha16", "rgba16", "rgb16"],
    )  # fmt: skip
    def test_kinds_of_png(self, tmp_path, file, expected):
        assert loaded(tmp_path / "a.png", file).tolist() == [expected]

    @pytest.mark.parametrize("marker", [True, False])
    def test_cmyk_jpeg(self, tmp_path, marker):
        """Load inverted inks, as Adobe's programs write them, with and without Adobe's marker."""
        red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = jpeg(red, quality=100)
        adobe = data.index(b"\xff\xee\x00\x0eAdobe")
        if not marker:
            data = data[:adobe] + data[adobe + 16 :]
        pixels = loaded(tmp_path / "a.jpg", data).astype(int)
        assert np.abs(pixels - [255, 0, 0]).max() <= 2  # rounded once in the coefficients

    def test_ycck_jpeg(self, tmp_path):
        """Load Adobe's usual CMYK JPEG, with the inverted inks C, M, Y as luma and chroma."""
        picture = Image.new("CMYK", (16, 16), (55, 127, 127, 0))  # stored as 200, 128, 128, 255
        data = bytearray(jpeg(picture, quality=100))
        data[data.index(b"Adobe") + 11] = 2  # the transform: YCCK
        pixels = loaded(tmp_path / "a.jpg", bytes(data)).astype(int)
        assert np.abs(pixels - 55).max() <= 2  # luma 200, no chroma: as much of each ink

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
            with pytest.raises(ValueError, match=r"a\.png: cannot be read as a picture"):
                loaded(tmp_path / "a.png", data)
        with pytest.raises(TypeError):
            images.load(0)

    def test_files_that_end_a_little_early(self, tmp_path):
        data = jpeg(Image.fromarray(noise(40, 40)))
        for missing in (2, 40, len(data) // 2):
            with pytest.raises(ValueError, match=r"a\.jpg: cannot be read .*truncated"):
                loaded(tmp_path / "a.jpg", data[:-missing])
        whole = png(400, 8, 2, noise(1, 400).tobytes())
        with pytest.raises(ValueError, match=r"a\.png: cannot be read .*truncated"):
            loaded(tmp_path / "a.png", whole[: len(whole) // 2])

    @pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, before it gives up
    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tiff", "a.bmp", "a.webp"])
    def test_truncated_and_spoilt_files(self, tmp_path, name):
        data = encoded(Image.fromarray(noise(20, 20)), Image.registered_extensions()[name[1:]])
        for length in range(0, len(data) // 2, 7):
            with pytest.raises(ValueError, match="cannot be read"):
                loaded(tmp_path / name, data[:length])
        for i in range(0, len(data), 11):
            spoilt = data[:i] + bytes([data[i] ^ 0xFF]) + data[i + 1 :]
            try:
                assert loaded(tmp_path / name, spoilt).dtype == np.uint8
            except ValueError as error:
                assert name in str(error)

    @pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
    @pytest.mark.parametrize("side", [9_500, 2**31 - 1])
    def test_decompression_bomb(self, tmp_path, side):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")
        with pytest.raises(ValueError, match="pixels"):
            loaded(tmp_path / "a.png", data)

    def test_without_pillow(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL", None)
        for function, *arguments in (images.load, "a.png"), (images.resize, noise(2, 2), 1):
            with pytest.raises(ImportError, match=r"pip install 'dsconv\[image\]'"):
                function(*arguments)
        assert len(images.labels()) == 1000
        assert images.normalise(noise(2, 2), "tensorflow").shape == (2, 2, 3)

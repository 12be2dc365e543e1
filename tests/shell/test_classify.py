"""`dsconv classify`: its forms of output, pictures that fail among others, the exit status."""

from __future__ import annotations

import csv
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz
from commands import assert_refused, run_command
from picture_files import CLASSES, network_and_pictures

from dsconv.files.load import load
from dsconv.text.terminal import printable
from dsconv.vision.classifier import Prediction

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

ESCAPE = "\x1b[31m.png"  # would turn a terminal red


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network_and_pictures(tmp_path_factory.mktemp("files"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], files: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `dsconv classify` in the folder of files, with the small network."""
    monkeypatch.chdir(files)
    options = ("--weights", "network.npz", "--resolution", "32", "--threads", "1")
    return lambda *arguments: run_command(capsys, "classify", *options, *arguments)


def predictions(files: Path, picture: str, top: int = 5) -> list[Prediction]:
    return load(files / "network.npz", resolution=32).classify(files / picture, top)


# Forms


def test_table(run: Any, files: Path) -> None:
    result = run("one.png", "two.png", "--top", "2")
    assert (result.code, result.err) == (0, "")
    (a, b), (c, d) = (predictions(files, name, 2) for name in ("one.png", "two.png"))
    assert result.out.splitlines() == [
        f"one.png  {a.probability:7.2%}  {a.name}",
        f"         {b.probability:7.2%}  {b.name}",
        f"two.png  {c.probability:7.2%}  {c.name}",
        f"         {d.probability:7.2%}  {d.name}",
    ]
    assert len(run("one.png").out.splitlines()) == 5
    assert len(run("one.png", "--top", "99").out.splitlines()) == CLASSES


def test_columns_of_names_of_different_lengths(run: Any, files: Path) -> None:
    long = "a" * 60 + ".png"
    for name in ("b.png", long):
        (files / name).write_bytes((files / "one.png").read_bytes())
    lines = run("b.png", "one.png", "--top", "2").out.splitlines()
    assert len({line.index("%") for line in lines}) == 1
    lines = run("b.png", long, "--top", "1").out.splitlines()
    assert lines[0].index("%") < 60 and lines[1].startswith(long + " ")


def test_csv(run: Any, files: Path) -> None:
    result = run("one.png", "text.png", "two.png", "--csv", "--top", "2")
    assert result.code == 1
    header, *rows = csv.reader(io.StringIO(result.out))
    assert header == ["picture", "rank", "class", "name", "probability"]
    expected = [
        [name, str(rank), str(p.number), p.name, f"{p.probability:.6g}"]
        for name in ("one.png", "two.png")
        for rank, p in enumerate(predictions(files, name, 2), 1)
    ]
    assert rows == expected


def test_json(run: Any, files: Path) -> None:
    result = run("one.png", "text.png", "two.png", "--json")
    assert result.code == 1
    first, second, third = json.loads(result.out)
    for entry, name in ((first, "one.png"), (third, "two.png")):
        assert entry["picture"] == name
        found = [(p["name"], p["probability"], p["class"]) for p in entry["predictions"]]
        assert found == [tuple(p) for p in predictions(files, name)]
    assert second["picture"] == "text.png" and list(second) == ["picture", "error"]
    assert second["error"].startswith("cannot be read as a picture")


def test_labels(run: Any, files: Path) -> None:
    names = [f"thing {i}, größer" for i in range(CLASSES)]
    (files / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    for form in ("--csv", "--json"):
        result = run("one.png", "--labels", "labels.txt", form)
        assert result.code == 0
        if form == "--csv":
            found = [row[3] for row in csv.reader(io.StringIO(result.out))][1:]
        else:
            found = [p["name"] for p in json.loads(result.out)[0]["predictions"]]
        assert found == [names[p.number] for p in predictions(files, "one.png")]


def test_bad_labels(run: Any, files: Path) -> None:
    (files / "short.txt").write_text("one\ntwo\n")
    (files / "latin.txt").write_bytes("größe\n".encode("latin-1") * CLASSES)
    assert_refused(run("one.png", "--labels", "short.txt"), "has 6 classes, not .* 2 labels")
    assert_refused(run("one.png", "--labels", "latin.txt"), "latin.txt: .* UTF-8")
    assert_refused(run("one.png", "--labels", "none.txt"), "No such file.*none.txt")


# What fails


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("text.png", "cannot be read as a picture: not recognised as JPEG"),
        ("half.png", "cannot be read as a picture: .*truncated"),
        ("none.png", "No such file or directory"),
        (".", "Is a directory"),
        ("nul\0.png", ".*null"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)])
def test_a_broken_picture(run: Any, broken: str, reason: str, form: tuple[str, ...]) -> None:
    """Check that it is reported in one line, and that the others come out as without it."""
    shown = re.escape(printable(broken))
    result = run("one.png", broken, "two.png", "--top", "1", *form)
    assert result.code == 1
    assert re.fullmatch(rf"dsconv: {shown}: {reason}[^\n]*\n", result.err), result.err
    good = run("one.png", "two.png", "--top", "1", *form)
    assert (good.code, good.err) == (0, "")
    if form == ("--json",):
        entries = json.loads(result.out)
        assert entries.pop(1)["picture"] == broken
        assert entries == json.loads(good.out)
    else:  # the first column is as wide as the longest name
        assert result.out.split() == good.out.split()
    assert run(broken, *form).code == 1


def test_weights_that_are_none(run: Any, files: Path) -> None:
    """Check that no picture is tried and nothing is printed, not even a header."""
    for form in ("--csv", "--json"):
        assert_refused(run("one.png", form, "--weights", "text.png"), "text.png: unknown format")
    assert_refused(run("one.png", "--weights", str(files)), re.escape(str(files)))


def test_a_network_without_classifier(run: Any, files: Path) -> None:
    with np.load(files / "network.npz") as arrays:
        kept = {name: arrays[name] for name in arrays if "Logits" not in name}
    (files / "features.npz").write_bytes(npz(kept))
    assert_refused(run("one.png", "--weights", "features.npz"), "features.npz: not a network that")


def test_warnings_of_decoders_are_not_shown(run: Any, files: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01"  # cut off: Pillow warns, and reads the picture
    Image.new("RGB", (40, 40)).save(files / "warned.jpg", exif=exif)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run("warned.jpg")
    assert (result.code, result.err, caught) == (0, "", [])


# Names that would do something to a terminal, or are no text


@pytest.mark.parametrize("name", ["new\nline.png", ESCAPE, "\u202egnp.png", "\udcff.png"])
def test_strange_names(run: Any, files: Path, name: str) -> None:
    try:
        (files / name).write_bytes((files / "one.png").read_bytes())
    except (OSError, ValueError) as error:
        pytest.skip(f"the file system refuses the name: {error}")
    for form in ((), ("--csv",)):
        result = run(name, *form, "--top", "1")
        assert (result.code, result.err) == (0, "")
        assert printable(name) in result.out
        assert len(result.out.splitlines()) == (2 if form else 1)
        assert all(c.isprintable() or c == "\n" for c in result.out)
    result = run(name, "--json")
    assert json.loads(result.out)[0]["picture"] == name
    assert all(c.isprintable() or c == "\n" for c in result.out)
    for result in (run(name + "?"), run("one.png", "--weights", name)):
        assert result.code == 1 and result.out == ""
        assert len(result.err.splitlines()) <= 2
        assert all(c.isprintable() or c == "\n" for c in result.err)


# Trained networks


def test_coffee(capsys: pytest.CaptureFixture[str], shared: Path) -> None:
    weights = shared / "weights" / "mobilenet_v1_1.0_224_google_slim.npz"
    picture = shared / "images" / "coffee.png"
    result = run_command(capsys, "classify", str(picture), "--weights", str(weights))
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert len(lines) == 5
    assert re.fullmatch(rf"{re.escape(str(picture))} +\d+\.\d\d%  espresso", lines[0])


def test_the_default_network(
    capsys: pytest.CaptureFixture[str],
    shared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Check that it is torchvision's MobileNetV2 from the user's cache."""
    monkeypatch.setenv("DSCONV_HOME", str(tmp_path))
    name = "mobilenet_v2-b0353104.pth"
    (tmp_path / name).symlink_to(shared / "weights" / name)
    pictures = [str(shared / "images" / name) for name in ("burger.jpg", "coffee.png")]
    result = run_command(capsys, "classify", *pictures, "--top", "1", "--json")
    assert (result.code, result.err) == (0, "")
    burger, coffee = json.loads(result.out)
    assert burger["predictions"][0]["name"] == "cheeseburger"
    assert coffee["predictions"][0]["name"] == "espresso"

"""Pinned files: their names, the cache, and files of a pinned name that are other files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import DATA, NAME, Server, assert_nothing_left, pinned, serve

from dsconv import pretrained
from dsconv.files.pretrained import fetch, home, names, path_of


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    yield from serve(monkeypatch)


# Files that are there


def test_a_file_that_is_there_needs_no_network(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DATA)
    assert fetch(pinned(server.address), tmp_path) == str(tmp_path / NAME)
    assert fetch(pinned(), tmp_path) == str(tmp_path / NAME)
    assert server.requests == []


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"\0", b"", bytes([DATA[0] ^ 1]) + DATA[1:]])
def test_another_file_of_that_name(server: Server, tmp_path: Path, data: bytes) -> None:
    """Refuse it and keep it: whoever put it there may want it."""
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(ValueError, match=f"{NAME}: not the file that is pinned.*instead of"):
        fetch(pinned(server.address), tmp_path)
    assert server.requests == []
    assert (tmp_path / NAME).read_bytes() == data


def test_a_file_that_changes_after_it_was_checked(server: Server, tmp_path: Path) -> None:
    path = Path(fetch(pinned(server.address), tmp_path))
    status = path.stat()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # with the same size and date
    with pytest.raises(ValueError, match="SHA-256 [0-9a-f]{64} instead of"):
        fetch(pinned(server.address), tmp_path)


# Names and the cache


def test_names() -> None:
    """Check that only what can be downloaded is offered."""
    assert names() == ("mobilenet_v2",)
    for name, file in pretrained.PINNED.items():
        assert (name in names()) == bool(file.addresses)
        assert len(bytes.fromhex(file.sha256)) == 32 and file.sha256 == file.sha256.lower()
        assert os.path.basename(file.name) == file.name
        assert all(address.startswith("https://") for address in file.addresses)
        assert all(address.endswith(f"/{file.name}") for address in file.addresses)
        assert file.licence and (file.addresses or file.note)
    torchvision = pretrained.PINNED["mobilenet_v2"]  # the hash begins with its name's last part
    assert torchvision.name == f"mobilenet_v2-{torchvision.sha256[:8]}.pth"


@pytest.mark.parametrize("name", pretrained.PINNED)
def test_path_of(name: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSCONV_HOME", str(tmp_path))
    file = pretrained.PINNED[name]
    (tmp_path / file.name).symlink_to(shared / "weights" / file.name)
    assert path_of(name) == str(tmp_path / file.name)


def test_path_of_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSCONV_HOME", str(tmp_path))
    with pytest.raises(
        FileNotFoundError,
        match="google_slim.npz is not in .*put the file there.*cannot be downloaded.*numpy.savez",
    ):
        path_of("mobilenet_v1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")  # where nobody listens
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(FileNotFoundError, match=r"https://download\.pytorch\.org.* failed"):
        path_of("mobilenet_v2")
    assert_nothing_left(tmp_path)


def test_bad_names() -> None:
    with pytest.raises(ValueError, match="'mobilenet_v9'; known are mobilenet_v2"):
        path_of("mobilenet_v9")
    with pytest.raises(TypeError, match="name must be a string, got int"):
        path_of(2)  # type: ignore[arg-type]


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("DSCONV_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.setenv("DSCONV_HOME", "~/weights")
    assert home() == Path("/home/someone/weights")
    monkeypatch.setenv("DSCONV_HOME", "weights")
    assert home() == Path.cwd() / "weights"
    monkeypatch.setenv("DSCONV_HOME", "")  # as if it were not set
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert home() == Path("/caches/dsconv")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert home() == Path("/home/someone/.cache/dsconv")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert home() == Path("/home/someone/Library/Caches/dsconv")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert home() == Path("/local/dsconv")

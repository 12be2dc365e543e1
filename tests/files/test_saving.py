"""dsconv.save: what was loaded or compiled comes back bit by bit, unfolded and under its names."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import npz, pth
from compiled import assert_bits, random_inputs
from saved_networks import NETWORKS, Saved

from dsconv import models, weights
from dsconv.files.load import load
from dsconv.files.save import save
from dsconv.graph import Graph
from dsconv.weights.families.with_graph import graph_in, write_with_graph
from dsconv.weights.safetensors import write_safetensors

SUFFIXES = ["safetensors", "npz"]


def small_graph() -> Graph:
    return models.mobilenet_v2(0.35, 32, 5)


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)
    for name, array in a.items():
        np.testing.assert_array_equal(b[name], array, strict=True)


# Models out of weight files


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loaded_network_through_all_formats(tmp_path: Path, name: str) -> None:
    """Save own format -> safetensors -> npz -> safetensors: names, arrays, logits, family."""
    saved = Saved(name)
    model = saved.load(tmp_path)
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    expected = model(x)
    for step, suffix in enumerate(("safetensors", "npz", "safetensors")):
        path = tmp_path / f"{step}.{suffix}"
        save(model, path)
        assert_same(saved.arrays, weights.read(path))
        model = load(path, resolution=32)
        assert_bits(model(x), expected)


@pytest.mark.parametrize("write", [npz, pth])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_formats_do_not_matter_for_a_family(tmp_path: Path, write: Any, suffix: str) -> None:
    """Read TF-slim's names in a .pth, torchvision's in an .npz."""
    for name in NETWORKS:
        saved = Saved(name)
        saved.write = write
        model = saved.load(tmp_path)
        save(model, tmp_path / f"a.{suffix}")
        again = load(tmp_path / f"a.{suffix}", resolution=32)
        assert (again.name, again.family) == (model.name, model.family)
        x = np.zeros((1, 32, 32, 3), np.float32)
        assert_bits(again(x), model(x))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_that_tells_the_family_must_stay(tmp_path: Path, suffix: str) -> None:
    """Keep the name that alone tells which crop belongs to torchvision's second weights."""
    saved = Saved("mobilenet_v2")
    path = tmp_path / "mobilenet_v2-7ebf99e0.pth"
    path.write_bytes(saved.write(saved.arrays))
    model = load(path, resolution=32)
    with pytest.raises(ValueError, match="other.* would be taken for another network"):
        save(model, tmp_path / f"other.{suffix}")
    assert list(tmp_path.iterdir()) == [path]
    save(model, path.with_suffix(f".{suffix}"))
    again = load(path.with_suffix(f".{suffix}"), resolution=32)
    assert again.preprocessing == model.preprocessing


def test_metadata_of_a_safetensors_file_stay(tmp_path: Path) -> None:
    saved = Saved("mobilenet_v2")
    write_safetensors(tmp_path / "a.safetensors", saved.arrays, {"format": "pt"})
    save(load(tmp_path / "a.safetensors", resolution=32), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_model_can_be_saved_over_its_own_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a.safetensors", Saved("mobilenet_v1").arrays)
    before = (tmp_path / "a.safetensors").read_bytes()
    model = load(tmp_path / "a.safetensors", resolution=32)
    save(model, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == before


def test_a_file_that_is_gone_or_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "weights of a network"
    for change, message in ((path.unlink, "is gone"), (lambda: path.write_bytes(b"x"), "unknown")):
        model = Saved("mobilenet_v1").load(tmp_path)
        change()
        with pytest.raises(ValueError, match=f"weights of a network: .*{message}"):
            save(model, tmp_path / "a.npz")
    for stays in (False, True):  # nothing but the content and the inode changes
        model = Saved("mobilenet_v1").load(tmp_path)
        content, status = bytearray(path.read_bytes()), path.stat()
        content[len(content) // 2] ^= 1
        (tmp_path / "other").write_bytes(content if stays else npz({"other": np.ones(3)}))
        os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(tmp_path / "other", path)
        with pytest.raises(ValueError, match="weights of a network: .*has changed since"):
            save(model, tmp_path / "a.npz")
    assert not (tmp_path / "a.npz").exists()


def test_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_safetensors(tmp_path / "a.safetensors", Saved("mobilenet_v1").arrays)
    monkeypatch.chdir(tmp_path)
    model = load("a.safetensors", resolution=32)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir("other")
    save(model, "b.npz")
    assert (tmp_path / "other" / "b.npz").exists()


# Models out of graphs


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seeded", [False, True])
def test_a_compiled_graph_comes_back(tmp_path: Path, suffix: str, seeded: bool) -> None:
    graph = small_graph()
    given = None if seeded else graph.init_weights(3)
    model = graph.compile(given)
    path = tmp_path / f"a.{suffix}"
    save(model, path)
    with weights.open_weights(path) as file:
        found = graph_in(file)
        assert found is not None and found.to_json() == graph.to_json()
        read = {name: file.read(name) for name in graph.parameters()}
    assert_same(graph.init_weights(0) if given is None else given, read)
    x = np.random.default_rng(1).normal(size=(2, 32, 32, 3)).astype(np.float32)
    assert_bits(found.compile(read)(x), model(x))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_saved_graph_is_loaded_and_saved_again(tmp_path: Path, suffix: str) -> None:
    """Move the graph between metadata and array, also from one format to the other."""
    graph = Graph("two outputs")
    x = graph.conv2d(graph.input((6, 5, 4)), 3, name="conv")
    graph.output(graph.relu(x), graph.global_average_pool(x))
    model = graph.compile()
    save(model, tmp_path / f"a.{suffix}")
    again = load(tmp_path / f"a.{suffix}")
    inputs = random_inputs(graph, 2)
    for ours, theirs in zip(again(*inputs), model(*inputs), strict=True):
        assert_bits(ours, theirs)
    for other in SUFFIXES:
        save(again, tmp_path / f"b.{other}")
        save(model, tmp_path / f"c.{other}")
        assert (tmp_path / f"b.{other}").read_bytes() == (tmp_path / f"c.{other}").read_bytes()


def test_weights_are_not_copied() -> None:
    graph = small_graph()
    given = graph.init_weights(3)
    model = graph.compile(given)
    assert model.source is not None and model.source.weights is given


@pytest.mark.parametrize("suffix", [*SUFFIXES, "onnx"])
@pytest.mark.parametrize("seeded", [False, True])
def test_a_graph_changed_since(tmp_path: Path, suffix: str, seeded: bool) -> None:
    """Save what runs: the graph as it was when it was compiled."""
    if suffix == "onnx":
        pytest.importorskip("onnx")
    graph = Graph("changed")
    y = graph.conv2d(graph.input((6, 5, 4)), 3, name="c")
    graph.output(y)
    model = graph.compile(None if seeded else graph.init_weights(0))
    save(model, tmp_path / f"before.{suffix}")
    graph.output(graph.relu(graph.conv2d(y, 2)))
    graph.name = "another"
    save(model, tmp_path / f"after.{suffix}")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    model = load(tmp_path / f"after.{suffix}")
    assert list(model.outputs) == ["c"]


def halved(array: np.ndarray) -> None:
    array *= 0.5


def swapped(array: np.ndarray) -> None:
    array[0, 0, 0, :2] = array[0, 0, 0, 1::-1].copy()


def reshaped(array: np.ndarray) -> None:
    array.shape = array.shape[::-1]


@pytest.mark.parametrize("suffix", [*SUFFIXES, "onnx"])
@pytest.mark.parametrize("change", [halved, swapped, reshaped])
def test_weights_changed_since(tmp_path: Path, suffix: str, change: Any) -> None:
    graph = small_graph()
    given = graph.init_weights(3)
    given["conv0/weight"] = given["conv0/weight"].transpose(1, 0, 2, 3)  # need not be contiguous
    model = graph.compile(given)
    given["conv0/weight"] = np.ascontiguousarray(given["conv0/weight"])
    save(model, tmp_path / f"same.{suffix}")  # the same values in another array
    given["more"] = np.ones(1, np.float32)  # belongs to no layer
    save(model, tmp_path / f"more.{suffix}")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    change(given["conv0/weight"])
    with pytest.raises(ValueError, match="another weight 'conv0/weight': .*compile the graph"):
        save(model, tmp_path / f"a.{suffix}")
    del given["conv0/weight"]
    with pytest.raises(ValueError, match="another weight 'conv0/weight'"):
        save(model, tmp_path / f"a.{suffix}")
    save(model, tmp_path / "a.dsconv")
    x = np.random.default_rng(1).normal(size=(1, 32, 32, 3)).astype(np.float32)
    assert_bits(load(tmp_path / "a.dsconv")(x), model(x))


def test_a_model_out_of_a_pickle_has_no_unfolded_weights(tmp_path: Path) -> None:
    for model in (small_graph().compile(), Saved("mobilenet_v1").load(tmp_path)):
        again = pickle.loads(pickle.dumps(model))
        with pytest.raises(ValueError, match="no unfolded weights.*pickle"):
            save(again, tmp_path / "a.npz")


class TestGraphInAFile:
    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            (np.zeros((2, 2), np.uint8), "one-dimensional array of uint8"),
            (np.zeros(2, np.float32), "one-dimensional array of uint8"),
            (np.frombuffer(b"\xff\xfe", np.uint8), "decode"),
            (np.frombuffer(b"{}", np.uint8), "field 'format'"),
            (np.frombuffer(b"[" * 99_999, np.uint8), "not JSON"),
            (np.zeros(5 * 2**20, np.uint8), "more than"),
            ("no graph", "not JSON"),
        ],
    )
    def test_bad_graph(self, tmp_path: Path, entry: Any, message: str) -> None:
        if isinstance(entry, str):
            write_safetensors(tmp_path / "w", {}, {"dsconv.graph": entry})
        else:
            (tmp_path / "w").write_bytes(npz({"dsconv.graph": entry}))
        with weights.open_weights(tmp_path / "w") as file:
            with pytest.raises(ValueError, match=f"w: dsconv.graph: .*{message}"):
                graph_in(file)

    def test_a_file_without(self, tmp_path: Path) -> None:
        for write, name in ((npz, "a"), (pth, "b")):
            (tmp_path / name).write_bytes(write({"w": np.ones(2)}))
            with weights.open_weights(tmp_path / name) as file:
                assert graph_in(file) is None

    def test_weights_that_do_not_fit_the_graph(self, tmp_path: Path) -> None:
        graph = small_graph()
        given = graph.init_weights()
        given["logits/bias"] = np.zeros(7, np.float32)
        write_with_graph(tmp_path / "a.npz", graph, given)
        with pytest.raises(ValueError, match="a.npz: .*logits/bias"):
            load(tmp_path / "a.npz")


# Arrays, ONNX and wrong arguments


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_dict_of_arrays_as_it_is(tmp_path: Path, suffix: str) -> None:
    arrays = {"b/kernel:0": np.ones((2, 3)), "a": np.arange(3), "c.d": np.zeros((0, 2), bool)}
    save(arrays, tmp_path / f"a.{suffix}")
    assert_same(arrays, weights.read(tmp_path / f"a.{suffix}"))


def test_onnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    saved = Saved("mobilenet_v2")
    loaded = saved.load(tmp_path)
    save(saved.graph.compile(saved.weights), tmp_path / "compiled.onnx")
    save(loaded, tmp_path / "loaded.onnx")
    save(saved.graph, tmp_path / "seeded.onnx")
    save(saved.graph.compile(), tmp_path / "seed 0.onnx")
    save(saved.graph.compile(saved.weights), tmp_path / "own.npz")
    save(load(tmp_path / "own.npz"), tmp_path / "own.onnx")
    content = {path.stem: path.read_bytes() for path in tmp_path.glob("*.onnx")}
    assert content["own"] == content["compiled"] != content["seeded"] == content["seed 0"]
    initializers = [
        {i.name: i.raw_data for i in onnx.load_from_string(content[name]).graph.initializer}
        for name in ("loaded", "compiled")
    ]
    assert initializers[0] == initializers[1]


@pytest.mark.parametrize("name", ["a.pth", "a", "a.npz.gz", "a.h5", "a.NPZ"])
def test_other_suffixes(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"end in \.safetensors, \.npz, \.onnx, \.dsconv, got"):
        save({"a": np.ones(1)}, tmp_path / name)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a model, a graph or a mapping of arrays, got list"):
        save([1], tmp_path / "a.npz")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="an ONNX file needs a graph"):
        save({"a": np.ones(1)}, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="without weights can be saved as .onnx only"):
        save(small_graph(), tmp_path / "a.npz")
    with pytest.raises(TypeError):
        save({"a": np.ones(1)}, 3)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("mobilenet_v1_1.0_224_google_slim.npz", "safetensors"),
        ("mobilenet_v2-b0353104.pth", "safetensors"),
        ("mobilenet_v2-b0353104.pth", "npz"),
    ],
)
def test_trained_weights(shared: Path, tmp_path: Path, name: str, suffix: str) -> None:
    """Check for the same bits; test_loading checks that they are the golden logits."""
    model = load(shared / "weights" / name)
    save(model, tmp_path / f"a.{suffix}")
    x = np.random.default_rng(1).normal(size=(2, 224, 224, 3)).astype(np.float32)
    assert_bits(load(tmp_path / f"a.{suffix}")(x), model(x))

"""Checkpoints made to harm: always a ValueError, never code run, never much memory."""

from __future__ import annotations

import builtins
import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch_files as torch
from hostile import MEGABYTE, read, refused
from hypothesis import given
from hypothesis import strategies as st

from dsconv.weights.unpickle import unpickle

WRITERS = pytest.mark.parametrize("write", [torch.legacy, torch.zipped])


class Attack:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


class TestPickle:
    @WRITERS
    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (os.system, r"(posix|nt)\.system"),
            (builtins.eval, r"(__builtin__|builtins)\.eval"),
            (bytearray, r"(__builtin__|builtins)\.bytearray"),
            (np.frombuffer, "numpy.*frombuffer"),
        ],
    )
    def test_calls_are_refused_by_name(self, tmp_path, write, protocol, function, name):
        trace = tmp_path / "trace"
        data = pickle.dumps({"w": Attack(function, f"echo > {trace}")}, protocol)
        refused(write(None, data=data), f"refers to '{name}'")
        assert not trace.exists()

    @WRITERS
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "refused"),
            (b"ctorch\nFloatStorage\n)R.", "calls something"),
            (b"ccollections\nOrderedDict\n}\x85R.", "malformed OrderedDict"),
            (b"ccollections\nOrderedDict\n]]\x86R.", "malformed OrderedDict"),
            (b"ccollections\nOrderedDict\n]Na\x85R.", "no pair"),
            (b"ccollections\nOrderedDict\n]](K\x01Nea\x85R.", "no pair"),
            (b"ccollections\nOrderedDict\n]R.", "calls something"),
            (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "malformed tensor"),
            (b"ctorch._utils\n_rebuild_tensor\n)R.", "malformed tensor"),
            (b"ctorch._utils\n_rebuild_parameter\n)R.", "malformed parameter"),
            (b"ctorch._utils\n_rebuild_tensor_v2\n}b.", "sets the state"),
            (b"}]b.", "sets the state"),
            (b"}ctorch\nFloatStorage\nctorch\nFloatStorage\ns.", "dict key"),
            (b"})K\x01s.", "dict key"),
            (b"}\x8a\x09" + bytes(8) + b"\x01Ns.", "dict key"),
            (b"}K\x01Ns.", "entry of type int"),
            (b"}X\x01\x00\x00\x00aNs.", "entry 'a' is of type NoneType"),
            (b"].", "not a dict"),
            (b"]K\x01K\x02s.", "SETITEM"),
            (b"}(K\x01u.", "SETITEM"),
            (b"}K\x01a.", "APPEND"),
            (b"(K\x01Q.", "persistent id"),
            (b"U\x01aQ.", "persistent id"),
            (b".", "missing on the stack"),
            (b"\x87.", "missing on the stack"),
            (b"t.", "no mark"),
            (b"h\x05.", "memo 5 is not set"),
            (b"cos\n", "truncated or overlong name"),
            (b"c" + b"a" * 300 + b"\nb\n.", "truncated or overlong name"),
            (b"\x80\x09.", "protocol 9"),
            (b"i", "opcode b'i'"),
            (b"\x82\x01.", "opcode"),  # EXT1
            (b"\x81.", "opcode"),  # NEWOBJ
            (b"X\xff\xff\xff\xffa.", "string of 4294967295 bytes"),
            (b"X\x02\x00\x00\x00\xff\xfe.", "decode"),
            (b"\x8e" + b"\xff" * 8 + b".", "opcode"),  # BINBYTES8
            (b"\x96" + b"\xff" * 7 + b"\x7f.", "opcode"),  # BYTEARRAY8: would allocate at once
            (b"\x8b\xff\xff\xff\x7f.", "opcode"),  # LONG4
            (b"\x95" + b"\xff" * 8 + b"].", "not a dict"),  # FRAME of 2**64 bytes
            (b"Nr\xff\xff\xff\xff.", "not a dict"),  # memo index 2**32 - 1
            (b"\x93.", "missing on the stack"),
            (b"NN\x93.", "without a name"),
            (b"N" * 1_000_001, "more than 1000000 opcodes"),
            (b"]" * 200_000 + b"a" * 199_999 + b".", "not a dict"),  # nested lists
            (b")" + b"\x85" * 200_000 + b".", "not a dict"),  # nested tuples
            (b"})" + b"\x85" * 200_000 + b"Ns.", "dict key"),  # hashing it would recurse
        ],
    )
    def test_opcodes(self, write, data, message):
        # the slowest of these holds a million references and its own text
        refused(write(None, data=b"\x80\x02" + data), message, memory=40 * MEGABYTE)

    @given(st.binary(max_size=60))
    def test_any_bytes(self, data):
        try:
            unpickle(io.BytesIO(data), {"collections.OrderedDict": dict})
        except ValueError:
            pass

    @given(
        st.lists(
            st.sampled_from(
                [b"(", b"N", b"K\x03", b"M\x00\x01", b"J\xff\xff\xff\xff", b"\x8a\x01\x07", b")"]
                + [b"\x85", b"\x86", b"\x87", b"t", b"]", b"a", b"e", b"}", b"s", b"u", b"q\x00"]
                + [b"h\x00", b"\x94", b"Q", b"R", b"b", b".", b"U\x07storage", b"U\x010", b"\x88"]
                + [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"\x93"]
                + [b"ctorch._utils\n_rebuild_parameter\n", b"ccollections\nOrderedDict\n", b"G"]
                + [b"(U\x07storagectorch\nFloatStorage\nU\x010NK\x03tQ", b"ccollections\nO\n"]
            ),
            max_size=40,
        )
    )
    def test_any_opcodes(self, codes):
        try:
            read(torch.zipped(None, data=b"".join(codes) + b"."))
        except ValueError:
            pass


def numbers(count: int = 6) -> torch.Storage:
    return torch.Storage("Float", "0", np.arange(count))


@WRITERS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, (6,), (1,)), "element 7"),
        ((0, (7,), (1,)), "element 7"),
        ((0, (2, 3), (4, 1)), "element 7"),
        ((7, (0,), (1,)), "element 7"),
        ((0, (2,), (2**70,)), "element 118059"),
        ((-1, (2,), (1,)), "from 0 up"),
        ((0, (-2,), (1,)), "from 0 up"),
        ((0, (2,), (-1,)), "from 0 up"),
        ((0.0, (2,), (1,)), "from 0 up"),
        ((0, (True,), (1,)), "from 0 up"),
        ((0, [2], (1,)), "from 0 up"),
        ((0, (2, 1), (1,)), "2 extents and 1 strides"),
        ((0, (2**40, 2**40), (0, 0)), "address space"),
        ((0, (2**40,), (0,)), "would take"),
        ((0, (1,) * 33, (0,) * 33), "33 dimensions"),
        ((0, (2,), (1,), {"conj": True}), "metadata"),
        ((0, (2,), (1,), None, None), "wrong arguments"),
    ],
)
def test_tensors_that_do_not_fit_their_storage(write, arguments, message):
    refused(write({"w": torch.tensor(numbers(), *arguments)}), message)


@WRITERS
class TestStorages:
    def test_hooks(self, write):
        hooks = OrderedDict({1: "hook"})
        refused(write({"w": torch.tensor(numbers(), 0, (2,), (1,), hooks=hooks)}), "hooks")

    def test_tensor_without_storage(self, write):
        refused(write({"w": torch.tensor("storage", 0, (2,), (1,))}), "malformed tensor")

    @pytest.mark.parametrize("length", [5, 7, 2**62, 2**80])
    def test_another_length(self, write, length):
        storage = torch.Storage("Float", "0", np.arange(6), length=length)
        refused(write({"w": torch.tensor(storage, 0, (2,), (1,))}), "storage '0' has")

    @pytest.mark.parametrize("length", [-1, 2.0, None, True])
    def test_no_length(self, write, length):
        storage = numbers()
        storage.length = length
        refused(write({"w": torch.tensor(storage, 0, (2,), (1,))}), "malformed storage")

    def test_one_key_for_two_storages(self, write):
        root = {"a": torch.full("Float", "0", [1.0]), "b": torch.full("Int", "0", [1])}
        refused(write(root), "two ways")

    def test_many_views_of_one_storage(self, write):
        storage = torch.Storage("Byte", "0", np.zeros(MEGABYTE))
        root = {str(i): torch.tensor(storage, 0, (MEGABYTE,), (1,)) for i in range(100)}
        refused(write(root), "would take 104857600 bytes")

    def test_unknown_types(self, write):
        data = write({"w": torch.full("Float", "0", [1.0])})
        refused(data.replace(b"FloatStorage", b"CharsStorage"), "CharsStorage|CRC")


ONE = {"w": torch.full("Float", "0", [1.0])}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.legacy(ONE, version=1002), "version"),
        (torch.legacy(ONE, system={"little_endian": False}), "big-endian"),
        (torch.legacy(ONE, system=[]), "big-endian"),
        *(
            (torch.legacy(ONE, keys=k), "not those that")
            for k in ([], ["1"], ["0", "1"], ["0", "0"])
        ),
        *((torch.legacy(ONE, keys=k), "list of strings") for k in ([0], {"0": 1}, "0")),
        (torch.legacy(ONE) + b"x", "1 bytes follow"),
        (torch.zipped(ONE, without="0"), "'0' is missing"),
        (torch.zipped(ONE, byteorder=b"big"), "big-endian"),
        (torch.zipped(ONE).replace(b"data.pkl", b"data.pk_"), "0 members named data.pkl"),
        (torch.zipped(ONE).replace(b"net/byteorder", b"ne/t/data.pkl"), "2 members named data.pkl"),
    ],
)
def test_parts_of_the_file(data, message):
    refused(data, message)

"""The loops over k of the tiles keep everything in registers, in the disassembly.

A vector that is stored inside these loops costs a multiple of a multiply-add, and so does a pointer
that gcc keeps in a vector register and moves back for each k: it takes the ports of the multiply-adds.
Narrow tiles may read pointers from the stack, because the loads of one k still fit beside its
multiply-adds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dsconv import _cpu
from dsconv.kernels.dispatch import kernel_module

MULTIPLY_ADD = re.compile(r"vfn?madd\d+ps")
STORE = re.compile(r"v?mov\w+ %[xyz]mm\d+,.*\((%rsp|%rbp)[,)]")
MOVE = re.compile(r"vmov[dq] %xmm\d+,%r|vpextr")
JUMP = re.compile(r"j\w+\s+([0-9a-f]+)")


def functions(path: Path) -> dict[str, list[tuple[int, str]]]:
    """Return address and text of the instructions of each function."""
    command = ["objdump", "-d", "-w", "--no-show-raw-insn", str(path)]
    found: dict[str, list[tuple[int, str]]] = {}
    name = ""
    for line in subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if title := re.match(r"[0-9a-f]+ <(.*)>:", line):
            name = title[1].removeprefix("__pyx_f_17_kernels_baseline_")
            found[name] = []
        elif instruction := re.match(r"\s+([0-9a-f]+):\s+(.*)", line):
            found[name].append((int(instruction[1], 16), " ".join(instruction[2].split())))
    return found


def inner_loops(instructions: list[tuple[int, str]]) -> list[list[str]]:
    """Return the instructions of every loop that has no loop inside."""
    at = {address: i for i, (address, _) in enumerate(instructions)}
    loops = []
    for i, (address, text) in enumerate(instructions):
        jump = JUMP.match(text)
        if jump and int(jump[1], 16) <= address and int(jump[1], 16) in at:
            loops.append((at[int(jump[1], 16)], i))
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    return [[text for _, text in instructions[first : last + 1]] for first, last in inner]


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_no_sum_leaves_its_register(compile_kernels: Callable[..., Path], isa: str) -> None:
    if isa not in _cpu.supported():
        pytest.skip(f"this processor has no {isa}")
    kernels = kernel_module(isa)
    if not kernels.compiler.startswith("gcc") or not shutil.which("objdump"):
        pytest.skip("the disassembly is known for gcc alone, and read by objdump")
    code = functions(compile_kernels(kernels.flags))
    vecs = len(kernels.gemm_heights)
    tiles = [f"gemm_tiles_{n}" for n in range(1, vecs + 1)]
    counts = dict.fromkeys([*tiles, "gemm_row", "depthwise_row"], 0)
    for name in counts:
        for loop in inner_loops(code[name]):
            chains = sum(bool(MULTIPLY_ADD.match(text)) for text in loop)
            # A loop over single pixels (nine taps, one vec or two) may end with the last part of a
            # block, which passes through a buffer; those loops call copy_rows.
            if not chains or (any("call" in text for text in loop) and chains < 63):
                continue
            counts[name] += 1
            assert not [text for text in loop if STORE.match(text)], (name, chains, loop)
            if name in tiles:
                assert not [text for text in loop if MOVE.match(text)], (name, chains, loop)
                reads = sum("(%rsp" in text for text in loop)
                loads = sum("(" in text and "lea" not in text for text in loop)
                assert reads <= (0 if name == tiles[-1] and vecs > 2 else 5), (name, chains, loop)
                assert chains < 8 or loads <= 2 * chains, (name, chains, loop)
    # Each height of a width has two loops over k: with and without prefetching.
    for name, height in zip(tiles, kernels.gemm_heights, strict=True):
        assert counts[name] >= 2 * height, counts
    assert counts["gemm_row"] >= 1 and counts["depthwise_row"] >= 4

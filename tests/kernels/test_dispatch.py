"""The choice of kernels and of the number of threads, and what show_config tells about them."""

from __future__ import annotations

import re

import processes
import pytest

import dsconv
from dsconv.kernels import dispatch

RUN = """
import numpy as np
import dsconv
from dsconv.kernels import dispatch
y = dsconv.dense(np.full(3, 2, np.float32), np.ones((3, 1), np.float32))
print(dispatch.isa, dispatch.kernels.__name__, y.item(), dsconv.get_num_threads())
"""
MISSING = [isa for isa in dispatch.ISAS if isa not in dispatch.available()]
ALLOWED = ", ".join(dispatch.ISAS)


@pytest.mark.parametrize("isa", dispatch.available())
def test_the_environment_chooses_the_instruction_set(isa):
    done = processes.run(RUN, DSCONV_ISA=isa, DSCONV_NUM_THREADS="3")
    assert done.stderr == "" and done.returncode == 0
    assert done.stdout.split() == [isa, f"dsconv._kernels_{isa}", "6.0", "3"]


def test_the_best_instruction_set_is_the_default():
    for unset in ({}, {"DSCONV_ISA": ""}):
        done = processes.run(
            "import os; os.environ.pop('DSCONV_ISA', 0)" * (not unset) + RUN, **unset
        )
        assert done.stdout.split()[0] == dispatch.available()[-1], done.stderr


@pytest.mark.parametrize("isa", ["avx1024", "AVX2", "avx2 ", "../_cpu", "0", "baseline,avx2"])
def test_unknown_instruction_sets(isa):
    done = processes.run(RUN, DSCONV_ISA=isa)
    assert done.returncode == 1
    text = f"ImportError: DSCONV_ISA={isa}: instruction set must be one of {ALLOWED}, got {isa!r}"
    assert done.stderr.splitlines()[-1] == text
    with pytest.raises(ValueError, match=f"^instruction set must be one of {ALLOWED}, got "):
        with dispatch.use(isa):
            pass


@pytest.mark.parametrize("isa", MISSING)
def test_instruction_sets_that_this_machine_does_not_have(isa):
    before = dispatch.isa, dispatch.kernels
    lacking = rf"this processor does not have '{isa}'; it has|this build .* no kernels for '{isa}'"
    with pytest.raises(ValueError, match=lacking):
        with dispatch.use(isa):
            pass
    assert (dispatch.isa, dispatch.kernels) == before
    done = processes.run(RUN, DSCONV_ISA=isa)
    assert done.returncode == 1
    assert re.match(f"ImportError: DSCONV_ISA={isa}: ({lacking})", done.stderr.splitlines()[-1])


def test_use_holds_until_the_block_ends(isa):
    here = dispatch.isa
    assert dispatch.kernels is isa
    for other in dispatch.available():
        with pytest.raises(KeyError), dispatch.use(other) as kernels:
            assert dispatch.isa == other and dispatch.kernels is kernels
            raise KeyError
        assert dispatch.isa == here and dispatch.kernels is isa


def test_each_module_describes_itself(isa):
    assert isa.lanes in (4, 8, 16) and isa.block == 2 * isa.lanes
    assert isa.panel in (isa.block, 2 * isa.block)
    assert isa.has_fma or dispatch.isa == "baseline"
    assert dispatch.available()[0] == "baseline"
    assert set(dispatch.available()) <= set(dispatch.ISAS)


def test_show_config(isa, capsys, set_num_threads):
    set_num_threads(5)
    assert dsconv.show_config() is None
    text = capsys.readouterr().out
    assert text.startswith(f"dsconv {dsconv.__version__}\n")
    assert f"instruction set: {dispatch.isa} (available: {', '.join(dispatch.available())})" in text
    assert f"{isa.lanes} floats" in text and f"FMA: {'yes' if isa.has_fma else 'no'}" in text
    assert f"compiler: {isa.compiler}\n" in text and f"flags: {isa.flags}\n" in text
    assert text.endswith("threads: 5\n")

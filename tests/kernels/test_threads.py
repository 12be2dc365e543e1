"""The number of threads that a call uses: given, set, from the environment or from the machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import processes
import pytest

import dsconv
from dsconv.kernels.cgroups import cpu_quota

RUN = "import dsconv; print(dsconv.get_num_threads())"


def test_number_of_threads(set_num_threads):
    for n in (1, 3, np.int64(2), 10**6):
        set_num_threads(n)
        assert dsconv.get_num_threads() == n
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"^n must be at least 1, got {n}"):
            dsconv.set_num_threads(n)
    for n in (1.0, True, None, "2"):
        with pytest.raises(TypeError, match=f"^n must be an integer, got {n!r}"):
            dsconv.set_num_threads(n)
    assert dsconv.get_num_threads() == 10**6


MANY = """
import numpy as np
import dsconv
x, one = np.ones((1, 64, 64, 32), np.float32), np.ones(32, np.float32)
dsconv.set_num_threads(10**6)
assert (dsconv.pointwise_conv2d(x, np.ones((32, 1), np.float32)) == 32).all()
assert (dsconv.pointwise_conv2d(x, np.ones((32, 1), np.float32), threads=10**9) == 32).all()
assert (dsconv.batch_norm(x, one, one, one, one, epsilon=0) == 1).all()
assert (dsconv.global_average_pool(x) == 1).all()
assert (dsconv.add(x, x) == 2).all()
print("done")
"""


def test_more_threads_than_any_machine_has():
    done = processes.run(MANY)
    assert done.stdout == "done\n", f"ended with {done.returncode}: {done.stderr}"


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "two", "1e3", "None"])
def test_bad_numbers_of_threads_in_the_environment(number):
    done = processes.run(RUN, DSCONV_NUM_THREADS=number)
    assert done.returncode == 1
    text = f"ImportError: DSCONV_NUM_THREADS must be a whole number of at least 1, got {number!r}"
    assert done.stderr.splitlines()[-1] == text


def test_the_default_number_of_threads_is_that_of_the_processors_for_this_process():
    pin = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]);"
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity of processes")
    done = processes.run(pin + RUN, DSCONV_NUM_THREADS="", OMP_NUM_THREADS="")
    assert done.stdout.split()[-1] == "1", done.stderr


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({"OMP_NUM_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "3,1"}, "3"),
        ({"OMP_NUM_THREADS": "3", "DSCONV_NUM_THREADS": "5"}, "5"),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment, number):
    done = processes.run(RUN, **({"DSCONV_NUM_THREADS": ""} | environment))
    assert done.stdout.strip() == number, done.stderr


def test_nonsense_in_the_variable_of_openmp_is_no_error():
    unset = processes.run(RUN, DSCONV_NUM_THREADS="", OMP_NUM_THREADS="")
    for text in ("auto", "0", "-1", ",2"):
        done = processes.run(RUN, DSCONV_NUM_THREADS="", OMP_NUM_THREADS=text)
        assert done.stdout == unset.stdout and done.stderr == ""


V1, V2 = "4:cpu,cpuacct:{}\n3:memory:/other\n", "0::{}\n"


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({"proc/self/cgroup": V2.format("/"), "cpu.max": "200000 100000"}, 2),
        ({"proc/self/cgroup": V2.format("/"), "cpu.max": "150000 100000"}, 2),
        ({"proc/self/cgroup": V2.format("/"), "cpu.max": "max 100000"}, None),
        ({"cpu.max": "200000 100000"}, 2),  # no /proc
        ({"proc/self/cgroup": V2.format("/a/b"), "a/b/cpu.max": "100 200"}, 1),
        ({"proc/self/cgroup": V2.format("/a/b"), "a/cpu.max": "300 100"}, 3),
        (
            {"proc/self/cgroup": V2.format("/a/b")}
            | {"a/b/cpu.max": "max 100", "a/cpu.max": "400 100", "cpu.max": "200 100"},
            2,
        ),
        ({"proc/self/cgroup": V2.format("/of/the/host"), "cpu.max": "200 100"}, 2),
        ({"proc/self/cgroup": V2.format("/"), "cpu.max": "200 0"}, None),
        ({"proc/self/cgroup": V2.format("/"), "cpu.max": "two hundred"}, None),
        (
            {"proc/self/cgroup": V1.format("/")}
            | {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2,
        ),
        (
            {"proc/self/cgroup": V1.format("/")}
            | {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            {"proc/self/cgroup": V1.format("/docker/x")}
            | {"cpu/docker/cpu.cfs_quota_us": "500", "cpu/docker/cpu.cfs_period_us": "100"},
            5,
        ),
        ({"proc/self/cgroup": V1.format("/"), "cpu/cpu.cfs_quota_us": "200000"}, None),
        ({"proc/self/cgroup": "no colon\n", "cpu.max": "200 100"}, 2),
    ],
)
def test_quotas_of_control_groups(tmp_path: Path, files: dict[str, str], cpus: int | None):
    for name, text in files.items():
        file = tmp_path / (name if name.startswith("proc") else f"sys/fs/cgroup/{name}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert cpu_quota(tmp_path) == cpus

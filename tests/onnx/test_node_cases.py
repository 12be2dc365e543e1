"""The onnx package's own node tests: each passes, or is refused for a reason that is listed."""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed")

from onnx_files import saved  # noqa: E402
from onnx_node_cases import NodeCase, node_cases  # noqa: E402

from dsconv.onnx.reading.model import load_onnx  # noqa: E402
from dsconv.onnx.reading.operators import OPERATORS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the cases' own making

REFUSED = {  # what the message says: the tests, as patterns of fnmatch
    # The batch must stay axis 0, and every image be treated by itself.
    "the inputs have batches of different sizes": "*_bcast_all_inputs",
    "differs along the batch": "test_add test_sub test_mul test_div test_sub_example "
    "test_mul_example test_div_example",
    "axis 0, the batch, is not supported": "test_concat_*_axis_0_all_inputs "
    "test_concat_*_all_inputs test_gather_0 test_gather_negative_indices test_softmax_axis_0 "
    "test_split_*_1d_* test_split_1d_* test_split_*_default_axis_* test_squeeze "
    "test_unsqueeze_axis_0",
    "a part of axis 0, the batch": "test_slice test_slice_neg_steps",
    "moves the batch": "test_expand_dim_changed test_flatten_axis[023] "
    "test_flatten_negative_axis[124] test_gemm_transposeA test_gemm_all_attributes "
    "test_transpose_default test_transpose_all_permutations_[2345]",
    "does not keep the batch axis": "test_reshape_reordered_all_dims test_reshape_one_dim "
    "test_reshape_negative_extended_dims",
    "the mean over all axes, the batch included": "test_reduce_mean_default_axes_*",
    r"input 3 must have the shape \(4,\), got \(3, 4\)": "test_gemm_default_matrix_bias",
    # Maps have two axes of pixels, and tensors are not empty.
    "only poolings of maps": "test_averagepool_[13]d_* test_maxpool_[13]d_*",
    "has the shape": "test_reshape_allowzero_reordered test_split_zero_size_*",
    "nothing is left": "test_slice_start_out_of_bounds",
    # What is computed, and what must be known at load.
    "must be computed from the network's input": "test_concat_* test_sum_example "
    "test_sum_two_inputs",
    "must be a constant": "test_max_*_all_inputs test_min_*_all_inputs",
    "must be one number": "test_max_* test_min_*",
    "takes at most 2 inputs|needs 2 inputs": "test_max_example* test_min_example* "
    "test_max_one_input test_min_one_input",
    "only division by a constant": "test_div_all_inputs test_div_example_all_inputs",
    "must have 2 axes": "test_matmul_*",
    r"indices of the shape \(1, 2\)": "test_gather_2d_indices",
    # Attributes.
    "'dilations' is": "test_averagepool_2d_dilations test_maxpool_2d_dilations",
    "only inference is supported": "test_batchnorm_*_training_mode test_training_dropout*",
    "padding with 1.2": "test_constant_pad*",
    "gives no whole size": "test_resize_downsample_scales_linear test_resize_*_half_pixel_symmetric "
    "test_resize_downsample_scales_linear_align_corners",
    "'mode' is 'cubic'": "test_resize_*_cubic*",
    "'exclude_outside' is not supported": "test_resize_*_exclude_outside",
    "'antialias' is not supported": "test_resize_*_antialias",
    "'tf_crop_and_resize' is not supported": "test_resize_tf_crop_and_resize*",
    "'not_(larger|smaller)' is not supported": "test_resize_*_not_larger test_resize_*_not_smaller",
    "to 1 as 'pytorch_half_pixel'": "test_resize_downsample_sizes_linear_pytorch_half_pixel",
    # Outputs that only training needs.
    "the mask of Dropout|the indices of MaxPool": "test_dropout_*_mask* test_maxpool_with_argmax_*",
    # The same operators taken apart into ones that are not imported.
    "(CastLike|ReduceMax) node .*: the operator is not supported": "test_hardsigmoid_*_ver18 "
    "test_leakyrelu_*expanded test_relu_expanded_ver18 test_softmax_*_expanded*",
    "Less node .*: supported only on constants": "test_clip_*expanded",
}


@pytest.fixture(scope="module")
def cases() -> list[NodeCase]:
    return list(node_cases())


def test_node_cases(cases: list[NodeCase], tmp_path: Path) -> None:
    passed, refused, wrong = [], [], []
    for case in cases:
        try:
            model = load_onnx(saved(case.model, tmp_path), threads=1)
        except (TypeError, ValueError) as error:
            assert str(error).startswith(str(tmp_path))
            if not expected(case.name, str(error)):
                wrong.append((case.name, str(error)))
            refused.append((case.name, str(error)))
            continue
        results = model(*case.inputs)
        results = results if isinstance(results, list) else [results]
        for result, output in zip(results, case.outputs, strict=True):
            np.testing.assert_allclose(result, output, case.rtol, case.atol, err_msg=case.name)
            assert result.shape == output.shape
        passed.append(case)
    assert not wrong, "\n".join(map(str, wrong))
    for reason in REFUSED:
        assert any(re.search(reason, message) for _, message in refused), reason
    operators = Counter(node.op_type for case in passed for node in case.model.graph.node)
    untested = set(OPERATORS) - set(operators)
    # No node test has one of these with float32 inputs; test_operators.py and networks have them.
    assert untested == {"Cast", "Pad", "Min", "Max", "ReduceL2", "ReduceSumSquare", "Sqrt"}
    assert len(passed) >= 150


def expected(name: str, message: str) -> bool:
    """Tell whether the refusal of this test is listed, with this reason."""
    return any(
        re.search(reason, message) and any(fnmatchcase(name, p) for p in patterns.split())
        for reason, patterns in REFUSED.items()
    )

"""Share between the PyTorch families: wrappers in front of names, and the classifier's name."""

from __future__ import annotations

import re

from dsconv.weights.families.arrays import Arrays

# DataParallel, torch.compile, trainers. "model.0.0.weight" of MobileNetV1 is no wrapper.
_WRAPPER = re.compile(r"(module|_orig_mod|state_dict|network|net|backbone|model(?!\.\d))\.")

_CLASSIFIER = re.compile(r"(classifier|fc|last_linear)\b.*\.(weight|bias)$")


def plain_names(names: list[str]) -> dict[str, str]:
    """Return names without a wrapper that all of them have, and without the counters of batches."""
    start = 0
    if names:
        while wrapper := _WRAPPER.match(names[0], start):
            prefix = names[0][: wrapper.end()]
            if not all(name.startswith(prefix) for name in names):
                break
            start = wrapper.end()
    return {name[start:]: name for name in names if not name.endswith(".num_batches_tracked")}


def classifier(arrays: Arrays, usual: str) -> str:
    """Return the name of the classifier: the one like "classifier..." or "fc...", or the usual."""
    found = {name.rpartition(".")[0] for name in arrays.names if _CLASSIFIER.match(name)}
    return found.pop() if len(found) == 1 else usual

"""Classifier: a model that takes pictures and names the classes that they show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dsconv.arguments.numbers import integer
from dsconv.compiler.model import Model
from dsconv.images.preprocessing import Preprocessing
from dsconv.text.lines import Fields, at_most_one, number, one

if TYPE_CHECKING:
    from dsconv.kernels.named_program import NamedProgram, Shapes

Picture = str | os.PathLike | np.ndarray  # a file, or uint8 (H, W, 3)


class Prediction(NamedTuple):
    """One class of a picture."""

    name: str
    probability: float
    number: int  # of the class among the model's outputs


class Classifier(Model):
    """A model that knows how its pictures are prepared and how its classes are called.

    Attributes
    ----------
    layout : str
        "NHWC".
    family : str
        The family of the weights, e.g. "MobileNetV2 of torchvision".
    preprocessing : dsconv.images.preprocessing.Preprocessing or None
        The preparation of pictures (resize, crop, normalise); None if the file does not tell it.
    classes : int or None
        The number of classes; None for a network without classifier, which returns features.
    labels : tuple of str, or None
        Names of the classes: ImageNet's for 1000 classes, and for 1001 with the background first.
    """

    layout = "NHWC"

    def __init__(
        self,
        name: str,
        program: NamedProgram,
        threads: int | None,
        family: str,
        preprocessing: Preprocessing | None,
        classes: int | None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name, program, threads)
        if not takes_pictures(self.inputs, self.outputs):
            raise ValueError(
                "a classifier takes one square RGB picture and gives one vector, got inputs "
                f"{self.inputs} and outputs {self.outputs}"
            )
        ((outputs,),) = self.outputs.values()
        if classes not in (None, outputs):
            raise ValueError(f"classes must be {outputs}, as many as outputs, got {classes}")
        self.family, self.preprocessing, self.classes = family, preprocessing, classes
        self._labels = None if labels is None else tuple(labels)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Return the names of the classes, or None."""
        return self._usual_labels if self._labels is None else self._labels

    @cached_property
    def _usual_labels(self) -> tuple[str, ...] | None:
        """Return the names that go with the number of classes."""
        if self.classes not in (1000, 1001):
            return None
        from dsconv.images import labels

        return tuple(labels(self.classes))

    def preprocess(self, image: Picture) -> np.ndarray:
        """Resize, crop and normalise a picture as the weights were evaluated.

        Parameters
        ----------
        image : path, or ndarray of uint8, (H, W, 3)

        Returns
        -------
        ndarray of float32, (resolution, resolution, 3)

        Raises
        ------
        ValueError
            If the file does not say how pictures are prepared.
        """
        if self.preprocessing is None:
            raise ValueError(
                f"{self.family}: the file does not say how pictures are prepared; prepare them as "
                "in training and call the model with the array"
            )
        from dsconv import images

        if not isinstance(image, np.ndarray):
            image = images.load(image)
        (shape,) = self.inputs.values()
        return images.preprocess(image, shape[0], *self.preprocessing)

    def classify(self, pictures: Picture | Sequence[Picture], top: int = 5) -> list[Any]:
        """Return the most probable classes of pictures.

        Parameters
        ----------
        pictures : path or uint8 array (H, W, 3), or a sequence of them
        top : int
            How many classes.

        Returns
        -------
        list of Prediction, best first; for a sequence a list of such lists

        Raises
        ------
        ValueError
            If the network has no classifier.
        """
        top = integer(top, "top")
        if self.classes is None:
            raise ValueError(f"{self.family}: the weights hold no classifier, only features")
        if isinstance(pictures, (str, os.PathLike, np.ndarray)):
            return self.classify([pictures], top)[0]
        if not isinstance(pictures, Sequence):
            raise TypeError(
                "pictures must be a path, a uint8 array (H, W, 3) or a sequence of them, got "
                f"{type(pictures).__name__}"
            )
        if not pictures:
            return []
        probabilities = self(np.stack([self.preprocess(p) for p in pictures]))
        if self._program.steps[-1].op != "softmax":
            from dsconv.functional import softmax

            probabilities = softmax(probabilities)
        results = []
        for row in probabilities:
            best = np.argsort(-row, kind="stable")[:top]
            results.append([Prediction(self._name(i), float(row[i]), int(i)) for i in best])
        return results

    def features(self, x: Any) -> np.ndarray:
        """Return the input of the last fully connected layer, a description of each picture.

        Parameters
        ----------
        x : ndarray of float32
            As in a call: (N, H, W, C), or one example (H, W, C).

        Returns
        -------
        ndarray of float32, (N, channels), or (channels,) for one example
        """
        return self._features(x)

    @cached_property
    def _features(self) -> Model:
        """Return the model up to the classifier; it shares the packed weights."""
        if self.classes is None:
            return self
        return Model(self.name, self._program.up_to_features(self.name), self.threads)

    def _name(self, index: int) -> str:
        return self.labels[index] if self.labels else f"class {index}"

    def __repr__(self) -> str:
        return (
            f"Classifier({self.name!r}, family={self.family!r}, inputs={self.inputs}, "
            f"outputs={self.outputs})"
        )

    def _details(self) -> Fields:
        return {
            "family": [self.family],
            "preprocessing": [] if self.preprocessing is None else [self.preprocessing.to_text()],
            "classes": [] if self.classes is None else [str(self.classes)],
            "label": list(self._labels or ()),
        }

    @classmethod
    def _checked_details(cls, lines: Fields) -> dict[str, Any]:
        family = one(lines, "family")
        text, count = (at_most_one(lines, key) for key in ("preprocessing", "classes"))
        preprocessing = None if text is None else Preprocessing.from_text(text)
        classes = None if count is None else number(count, "classes", 1)
        labels = lines.pop("label", [])
        if lines:
            raise ValueError(f"a classifier has no lines {sorted(lines)}")
        if labels and len(labels) != classes:
            raise ValueError(f"there must be {classes or 'no'} labels, got {len(labels)}")
        return {
            "family": family,
            "preprocessing": preprocessing,
            "classes": classes,
            "labels": labels or None,
        }


def takes_pictures(inputs: Shapes, outputs: Shapes) -> bool:
    """Return True if a network takes one square RGB picture and gives one vector."""
    square = [shape for shape in inputs.values() if shape == (shape[:1] * 2 + (3,))]
    return len(inputs) == len(square) == 1 and [len(s) for s in outputs.values()] == [1]

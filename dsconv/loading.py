"""From a weight file to a classifier: recognise, compile, preprocess, name the classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dsconv import images
from dsconv._geometry import integer
from dsconv.compiler.lowering import Lowered, lower
from dsconv.compiler.model import Model
from dsconv.compiler.parameters import Parameters
from dsconv.compiler.passes import optimise
from dsconv.functional import softmax
from dsconv.weights import open_weights
from dsconv.weights.families import recognise

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
    """

    layout = "NHWC"

    def __init__(
        self, name: str, lowered: Lowered, threads: int | None, normalisation: str
    ) -> None:
        super().__init__(name, lowered, threads)
        self._normalisation = normalisation
        (self._shape,) = self.inputs.values()
        (classes,) = next(iter(self.outputs.values()))
        self._labels = images.labels(classes) if classes in (1000, 1001) else None

    def preprocess(self, image: Picture) -> np.ndarray:
        """Resize the short side, crop the centre, normalise as the weights were trained.

        Parameters
        ----------
        image : path, or ndarray of uint8, (H, W, 3)

        Returns
        -------
        ndarray of float32, (resolution, resolution, 3)
        """
        if not isinstance(image, np.ndarray):
            image = images.load(image)
        return images.preprocess(image, self._shape[0], self._normalisation)

    def classify(self, pictures: Picture | Sequence[Picture], top: int = 5) -> list[Any]:
        """The most probable classes of pictures.

        Parameters
        ----------
        pictures : path or uint8 array (H, W, 3), or a sequence of them
        top : int
            How many classes.

        Returns
        -------
        list of Prediction, best first; for a sequence a list of such lists
        """
        top = integer(top, "top")
        if isinstance(pictures, (str, os.PathLike, np.ndarray)):
            return self.classify([pictures], top)[0]
        if not isinstance(pictures, Sequence):
            raise TypeError(
                "pictures must be a path, a uint8 array (H, W, 3) or a sequence of them, got "
                f"{type(pictures).__name__}"
            )
        if not pictures:
            return []
        probabilities = softmax(self(np.stack([self.preprocess(p) for p in pictures])))
        results = []
        for row in probabilities:
            best = np.argsort(-row, kind="stable")[:top]
            results.append([Prediction(self._name(i), float(row[i]), int(i)) for i in best])
        return results

    def _name(self, index: int) -> str:
        return self._labels[index] if self._labels else f"class {index}"

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"normalisation": self._normalisation}

    def __setstate__(self, state: dict[str, Any]) -> None:
        lowered = self._restored(state)
        self.__init__(state["name"], lowered, state["threads"], state["normalisation"])  # type: ignore[misc]


def load(
    path: str | os.PathLike[str], threads: int | None = None, *, resolution: int = 224
) -> Classifier:
    """Load a network from a weight file: MobileNetV1 of TF-slim (.npz), MobileNetV2 of torchvision
    (.pth). Width and classes are taken from the shapes in the file; nothing in it is executed.

    Parameters
    ----------
    path : path
    threads : int, optional
        For every call; default: `dsconv.get_num_threads()` at the time of the call.
    resolution : int
        Height and width of the input in pixels; rho is resolution / 224.

    Returns
    -------
    Classifier

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError, TypeError
        If it is damaged, of another format, or the weights of no known network.
    """
    with open_weights(path) as file:
        graph, weights, normalisation = recognise(file, resolution)
        try:
            lowered = lower(optimise(graph), Parameters(graph, weights))
        except (TypeError, ValueError) as error:
            if str(error).startswith(file.path):
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{file.path}: {error}") from None
    return Classifier(graph.name, lowered, threads, normalisation)

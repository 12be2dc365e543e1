"""What a classifier says of a picture."""

from __future__ import annotations

from typing import NamedTuple


class Prediction(NamedTuple):
    """One class of a picture."""

    name: str
    probability: float
    number: int  # of the class among the model's outputs

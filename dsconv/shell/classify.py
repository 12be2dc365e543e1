"""Classify picture files, one after the other, for `dsconv classify`."""

from __future__ import annotations

import csv
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dsconv.files.load import load
from dsconv.text.terminal import Progress, printable
from dsconv.vision.classifier import Classifier, Prediction

_WIDEST = 40  # characters to which the table's first column grows


class Result(NamedTuple):
    """Hold the best classes of a picture, or the reason why there are none."""

    picture: str
    predictions: list[Prediction]
    error: str | None = None


def classify_files(
    pictures: Sequence[str],
    weights: str,
    *,
    top: int = 5,
    threads: int | None = None,
    resolution: int | None = None,
    labels: str | None = None,
    form: str = "text",
) -> int:
    """Print the most probable classes of picture files on stdout.

    One picture is in memory at a time, and its rows are printed before the next is read (JSON at
    the end). A picture that cannot be read is reported on stderr, and the others go on.

    Parameters
    ----------
    pictures
        Paths of files.
    weights
        A weight file, or the name of a pretrained network.
    top
        Classes for each picture.
    threads, resolution
        As in `dsconv.load`.
    labels
        A text file with a class name in each line, in the order of the network's outputs.
    form
        "text": an aligned table. "csv": a header, and a row for each class. "json": a list with
        an object for each picture, also for those that failed.

    Returns
    -------
    int
        The exit status: 0, or 1 if any picture failed.
    """
    model = load(weights, threads, resolution=resolution, labels=labels)
    if not isinstance(model, Classifier) or model.classes is None:
        raise ValueError(f"{weights}: not a network that is known to classify pictures")
    failed: list[str] = []
    results = _results(model, pictures, top, failed)
    if form == "text":
        _print_table(results, min(_WIDEST, max(len(_shown(picture)) for picture in pictures)))
    else:
        {"csv": _print_csv, "json": _print_json}[form](results)
    return 1 if failed else 0


def _results(
    model: Classifier, pictures: Sequence[str], top: int, failed: list[str]
) -> Iterator[Result]:
    """Yield a result for each picture; report those that fail and append them to `failed`."""
    show = None if len(pictures) > 1 else False
    with warnings.catch_warnings(), Progress("classify", len(pictures), show=show) as bar:
        warnings.simplefilter("ignore")  # decoders warn of pictures that they read all the same
        for number, picture in enumerate(pictures):
            bar.update(number)
            try:
                result = Result(picture, model.classify(picture, top))
            except (OSError, ValueError, MemoryError) as error:
                failed.append(picture)
                result = Result(picture, [], _reason(error, picture))
                bar.erase()
                print(f"dsconv: {printable(f'{picture}: {result.error}')}", file=sys.stderr)
            if sys.stdout.isatty():
                bar.erase()
            yield result


def _print_table(results: Iterable[Result], width: int) -> None:
    for picture, predictions, _ in results:
        start = _shown(picture)
        for p in predictions:
            print(f"{start:{width}}  {p.probability:7.2%}  {_shown(p.name)}", flush=True)
            start = ""


def _print_csv(results: Iterable[Result]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["picture", "rank", "class", "name", "probability"])
    for picture, predictions, _ in results:
        for rank, p in enumerate(predictions, 1):
            cells = [_shown(picture), rank, p.number, _shown(p.name), f"{p.probability:.6g}"]
            writer.writerow(cells)
        sys.stdout.flush()


def _print_json(results: Iterable[Result]) -> None:
    document: list[dict[str, object]] = []
    for picture, predictions, error in results:
        classes = [
            {"class": p.number, "name": p.name, "probability": p.probability} for p in predictions
        ]
        told = {"predictions": classes} if error is None else {"error": error}
        document.append({"picture": picture, **told})
    print(json.dumps(document, indent=2))  # in ASCII, so that every file name comes through


def _reason(error: Exception, picture: str) -> str:
    """Return an error's message without the name of the picture, which is printed before it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix(f"{picture}: ") or type(error).__name__


def _shown(text: str) -> str:
    return printable(text, sys.stdout.encoding or "utf-8")

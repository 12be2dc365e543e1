"""The command line: `dsconv` and `python -m dsconv`."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from dsconv import __version__
from dsconv.text.terminal import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        status: int | None = options.run(options)
        sys.stdout.flush()
        return status or 0
    except BrokenPipeError:  # `dsconv summary ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        lines = str(error).split("\n")
        print("dsconv: " + "\n".join(map(printable, lines)), file=sys.stderr)
        return 1
    return 0


def _classify(options: argparse.Namespace) -> int:
    from dsconv.shell.classify import classify_files

    return classify_files(
        options.pictures,
        options.weights,
        top=options.top,
        threads=options.threads,
        resolution=options.resolution,
        labels=options.labels,
        form=options.form,
    )


def _summary(options: argparse.Namespace) -> None:
    summary = _graph(options).summary()
    print(_formatted(summary, options.format))


def _models(options: argparse.Namespace) -> None:
    from dsconv import models

    for name in models.names():
        graph = models.get(name)
        cost = graph.cost()
        height, width, _ = graph.shape(graph.inputs[0])
        print(
            f"{name:26} {height:4} x {width:<4} {cost.mult_adds / 1e6:10,.1f} M mult-adds"
            f" {cost.trainable_parameters / 1e6:8.2f} M parameters"
        )


def _explain(options: argparse.Namespace) -> None:
    from dsconv.counts.explain import explain

    explanation = explain(options.model, **_model_arguments(options))
    print(_formatted(explanation, options.format))


def _table(options: argparse.Namespace) -> None:
    from dsconv.counts.table import table

    print(_formatted(table(), options.format))


def _info(options: argparse.Namespace) -> None:
    from dsconv import show_config

    show_config()


def _formatted(output: Any, form: str) -> str:
    if form == "text":
        return str(output)
    return output.to_markdown() if form == "markdown" else output.to_json()


def _graph(options: argparse.Namespace) -> Any:
    from dsconv import models

    return models.get(options.model, **_model_arguments(options))


def _model_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """--alpha, --resolution and --classes as far as they are given and the builder takes them."""
    from dsconv import models

    if options.model not in models.names():
        raise ValueError(
            f"there is no model {options.model!r}; known are {', '.join(models.names())}"
        )
    taken = inspect.signature(getattr(models, options.model)).parameters
    given = {
        name: getattr(options, name)
        for name in ("alpha", "resolution", "classes")
        if getattr(options, name) is not None
    }
    for name in given:
        if name not in taken:
            raise ValueError(f"--{name} does not apply to {options.model}")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dsconv", description="Convolutions for MobileNet-style networks."
    )
    parser.add_argument("--version", action="version", version=f"dsconv {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    classify = commands.add_parser("classify", help="name what pictures show")
    _add_classify(classify)

    for name, run, text in (
        ("summary", _summary, "the layers of a network with shapes and costs"),
        ("explain", _explain, "what other counters say of a network, and why"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("model", metavar="MODEL", help="a name that `dsconv models` prints")
        command.add_argument("--alpha", type=float, help="width multiplier")
        command.add_argument("--resolution", type=_positive, metavar="PIXELS")
        command.add_argument("--classes", type=_positive, metavar="N")
        _add_format(command)
        command.set_defaults(run=run)

    models = commands.add_parser("models", help="the networks that are built in")
    models.set_defaults(run=_models)
    table = commands.add_parser("table", help="the papers' comparison tables, recomputed")
    _add_format(table)
    table.set_defaults(run=_table)
    info = commands.add_parser("info", help="version, instruction set, compiler, threads")
    info.set_defaults(run=_info)
    return parser


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0; 1 if a picture cannot be read; 2 for wrong usage."
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a file")
    parser.add_argument(
        "--weights",
        default="mobilenet_v2",
        metavar="FILE",
        help="a weight file or the name of a pretrained network (default %(default)s)",
    )
    parser.add_argument("--top", type=_positive, default=5, metavar="N", help="classes to print")
    parser.add_argument("--threads", type=_positive, metavar="N")
    parser.add_argument("--resolution", type=_positive, metavar="PIXELS", help="of the network")
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one in each line")
    forms = parser.add_mutually_exclusive_group()
    for form, text in (("json", "one JSON document"), ("csv", "a row for each class")):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=text)
    parser.set_defaults(run=_classify, form="text")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number

"""Run the command line: `dsconv` and `python -m dsconv`."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from dsconv import __version__
from dsconv.text.terminal import printable

# Commands import what they need when they run, so that `dsconv --help` answers at once.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = vars(_parser().parse_args(arguments))
    try:
        status: int | None = options.pop("run")(**options)
        sys.stdout.flush()
        return status or 0
    except BrokenPipeError:  # `dsconv summary ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    except (ImportError, MemoryError, OSError, TypeError, ValueError) as error:
        print("dsconv: " + "\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        return 1
    return 0


def _classify(**options: Any) -> int:
    from dsconv.shell.classify import classify_files

    return classify_files(**options)


def _summary(model: str, format: str, **options: Any) -> None:
    from dsconv import models

    _print(models.get(model, **_given(model, options)).summary(), format)


def _explain(model: str, format: str, **options: Any) -> None:
    from dsconv.counts.explain import explain

    _print(explain(model, **_given(model, options)), format)


def _table(format: str) -> None:
    from dsconv.counts.table import table

    _print(table(), format)


def _models() -> None:
    from dsconv import models
    from dsconv.text.tables import text_table

    rows = []
    for graph in map(models.get, models.names()):
        height, width, _ = graph.shape(graph.inputs[0])
        cost = graph.cost()
        counts = (f"{cost.mult_adds / 1e6:,.1f}", f"{cost.trainable_parameters / 1e6:.2f}")
        rows.append((graph.name, f"{height} x {width}", *counts))
    print(text_table(("network", "pixels", "M mult-adds", "M parameters"), rows, right=(1, 2, 3)))


def _info(file: str | None) -> None:
    if file is None:
        from dsconv import show_config

        show_config()
    else:
        from dsconv.shell.info import describe

        print(describe(file))


def _print(output: Any, form: str) -> None:
    texts = {"text": output.__str__, "markdown": output.to_markdown, "json": output.to_json}
    print(texts[form]())


def _given(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that are given; raise ValueError for one that the model does not take."""
    from dsconv import models

    if model not in models.names():
        raise ValueError(f"there is no model {model!r}; known are {', '.join(models.names())}")
    given = {name: value for name, value in options.items() if value is not None}
    for name in given.keys() - inspect.signature(getattr(models, model)).parameters:
        raise ValueError(f"--{name} does not apply to {model}")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dsconv", description="Convolutions for MobileNet-style networks."
    )
    parser.add_argument("--version", action="version", version=f"dsconv {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_classify(commands.add_parser("classify", help="name what pictures show"))
    for name, run, text in (
        ("summary", _summary, "the layers of a network with shapes and costs"),
        ("explain", _explain, "what other counters say of a network, and why"),
        ("models", _models, "the networks that are built in"),
        ("table", _table, "the papers' comparison tables, recomputed"),
        ("info", _info, "version, instruction set, compiler, threads; or a compiled model"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run)
        if name == "info":
            command.add_argument(
                "file", nargs="?", metavar="FILE", help="a .dsconv file, which is checked as well"
            )
        if name in ("summary", "explain"):
            command.add_argument(
                "model", metavar="MODEL", help="a name that `dsconv models` prints"
            )
            command.add_argument("--alpha", type=float, help="width multiplier")
            command.add_argument("--resolution", type=_positive, metavar="PIXELS")
            command.add_argument("--classes", type=_positive, metavar="N")
        if name in ("summary", "explain", "table"):
            command.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    return parser


def _add_classify(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0; 1 if a picture cannot be read; 2 for wrong usage."
    add = parser.add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="a file")
    add("--weights", default="mobilenet_v2", metavar="FILE",
        help="a weight file or the name of a pretrained network (default %(default)s)")  # fmt: skip
    add("--top", type=_positive, default=5, metavar="N", help="classes to print")
    add("--threads", type=_positive, metavar="N")
    add("--resolution", type=_positive, metavar="PIXELS", help="of the network")
    add("--labels", metavar="FILE", help="names of the classes, one in each line")
    forms = parser.add_mutually_exclusive_group()
    for form, text in (("json", "one JSON document"), ("csv", "a row for each class")):
        forms.add_argument(f"--{form}", dest="form", action="store_const", const=form, help=text)
    parser.set_defaults(run=_classify, form="text")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number

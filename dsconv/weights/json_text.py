"""Parse JSON of files that may be hostile: a size limit, no key twice, faults are ValueErrors."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn

from dsconv.weights.file import shorten

MAX_BYTES = 4 * 2**20  # of text; parsed, it may take some twenty times as much memory
_MAX_DIGITS = 20  # what a 64-bit number takes


def parse_json(text: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    ValueError is raised if the text is longer than 4 MB, no JSON, nested too deeply, names a key of
    an object twice, or has an integer beyond 64 bits, NaN or Infinity.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"JSON of {len(text)} bytes; at most {MAX_BYTES} are allowed")
    try:
        return json.loads(
            text.decode(), object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON ({error.msg} at character {error.pos})") from None
    except UnicodeDecodeError:
        raise ValueError("JSON that is not UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise ValueError(f"the JSON key {shorten(counts.most_common(1)[0][0])} is there twice")
    return result


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a JSON integer of {len(text)} digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} in JSON")

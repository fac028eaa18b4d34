"""JSON that may be damaged: whatever is wrong with it is a ValueError."""

from __future__ import annotations

import json
from typing import Any

from mvnet.errors import MvnetError


def parse_json(text: str | bytes) -> Any:
    """What a text of JSON holds.

    Args:
        text: of a file that may be damaged.
    Returns:
        its content.
    Raises:
        ValueError: no JSON.
        MvnetError: brackets in brackets without end, of which Python's parser runs out of its stack.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise MvnetError("JSON: found brackets in brackets without end, expected a few") from error

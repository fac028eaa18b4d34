"""JSON that is written is JSON: no NaN, no Infinity. What is read and is none is refused."""

from __future__ import annotations

import json
import math

import pytest

from mvnet.storage import json_text, parse_json

CONTENT = {"a": [1.5, math.nan, {"b": math.inf}], 2: (-math.inf, True, None, "NaN")}


@pytest.mark.parametrize("indent", [None, 2])
def test_numbers_that_are_not_finite_are_null(indent: int | None) -> None:
    found = json.loads(json_text(CONTENT, indent=indent), parse_constant=pytest.fail)
    assert found == {"a": [1.5, None, {"b": None}], "2": [None, True, None, "NaN"]}


def test_other_content_is_the_text_of_the_library() -> None:
    content = {"b": [1, 2.5e-8, "ü"], "a": None}
    assert json_text(content, indent=1, sort_keys=True) == json.dumps(content, indent=1, sort_keys=True)


def test_what_is_no_json_is_a_value_error() -> None:
    assert parse_json(b'{"a": [1, null]}') == {"a": [1, None]}
    for text, words in (
        ('{"a"', "Expecting"),
        ("[" * 100_000, "JSON: found brackets in brackets without end, expected"),
    ):
        with pytest.raises(ValueError, match=words):
            parse_json(text)

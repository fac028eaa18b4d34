"""Where the errors of parsers become ours. (That damaged files of every format are read or refused: tests/faults.)"""

from __future__ import annotations

import pytest

from mvnet.data_loaders.errors import DataError, reading
from mvnet.errors import MvnetError


@pytest.mark.parametrize("error", [RecursionError("too deep"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad\nbyte")])
def test_the_words_of_a_parser_are_kept(error: Exception) -> None:
    words = f"a.x: found .* read as X .{type(error).__name__}: .*expected"
    with pytest.raises(DataError, match=words) as caught, reading("a.x", "X"):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [MvnetError("x: found 1, expected 2"), MemoryError(), OSError(28, "full")])
def test_what_says_itself_what_is_wrong_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, reading("a.x", "X"):
        raise error
    assert caught.value is error


def test_an_error_of_the_system_is_given_the_name_of_the_file() -> None:
    with pytest.raises(OSError) as caught, reading("a.x", "X"):
        raise OSError(5, "Input/output error")
    assert (caught.value.filename, caught.value.errno) == ("a.x", 5)


def test_what_the_system_answers_to_nonsense_is_a_damaged_file() -> None:
    with pytest.raises(DataError, match=r"a\.x: found .*Invalid argument"), reading("a.x", "X"):
        raise OSError(22, "Invalid argument")

"""What led to an error: found in causes, contexts and groups, also where these lead in a circle."""

from __future__ import annotations

import errno

import pytest

from maap_tui.engine.errors import causes_of, is_out_of_memory
from maap_tui.engine.storage.files import is_out_of_files
from maap_tui.exceptions import classify_exit_code


class Answered(Exception):
    """An error of another library, which knows the answer."""

    response = type("Response", (), {"status_code": 400})()


def circle(inner: BaseException) -> BaseExceptionGroup[BaseException]:
    """A group whose member names the group as what was handled when it was raised again."""
    group = BaseExceptionGroup("several", [inner])
    inner.__context__ = group
    return group


@pytest.mark.parametrize("make", [circle, lambda inner: inner], ids=["circle", "alone"])
def test_causes_are_found_and_end(make) -> None:
    assert is_out_of_memory(make(MemoryError()))
    assert is_out_of_memory(make(OSError(errno.ENOMEM, "no")))
    assert is_out_of_files(make(OSError(errno.EMFILE, "no")))
    assert classify_exit_code(make(Answered())) == 4
    other = make(ValueError("x"))
    assert not is_out_of_memory(other)
    assert not is_out_of_files(other)
    assert classify_exit_code(other) == 3


def test_each_is_given_once() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, one.__context__, two.__context__ = two, two, one
    assert list(causes_of(one)) == [one, two]
    assert list(causes_of(None)) == []

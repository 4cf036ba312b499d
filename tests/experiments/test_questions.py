"""Intervals that the page of questions says are those of its tables."""

import re

import pytest

from tests import pages

_NUMBER = r"(-?\d*\.?\d+)"
_INTERVAL = re.compile(rf"{_NUMBER} \[{_NUMBER}, {_NUMBER}\]")
_SECTIONS = {
    re.findall(r"experiments\.reproduce (\w+) --out", section)[0]: section
    for section in (pages.ROOT / "docs" / "questions.md").read_text().split("\n## ")
    if "**Asked.**" in section
}


def _is(said: str, number: str) -> bool:
    """Whether it is this number of a table, or it rounded further."""
    decimals = len(said.partition(".")[2])
    return abs(float(said) - float(number)) <= 0.5 * 10**-decimals + 1e-9


@pytest.mark.parametrize("name", _SECTIONS)
def test_intervals_are_those_of_the_table(name: str) -> None:
    tables = [path.read_text() for path in (pages.ROOT / "docs" / "tables").glob(f"{name}*.md")]
    measured = [found for text in tables for found in _INTERVAL.findall(text)]
    assert measured
    for said in _INTERVAL.findall(_SECTIONS[name]):
        assert any(all(map(_is, said, numbers)) for numbers in measured), said

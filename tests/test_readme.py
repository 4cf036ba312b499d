"""The README: its code runs, its commands are accepted, its rows are the recipes, its figures those of the tables."""

import re
from typing import Any

import pytest

from gan_jax.lab import EXPERIMENTS
from tests import pages

_README = pages.README.read_text()
_BLOCKS = pages.cells(pages.README)
_NUMBER = r"(\d*\.?\d+)"


def test_it_is_short() -> None:
    assert len(_README.splitlines()) <= 150


@pytest.mark.parametrize("block", range(len(_BLOCKS)))
def test_the_scripts_run(block: int) -> None:
    exec(_BLOCKS[block], {})


def test_the_first_script_has_ten_lines() -> None:
    assert len([line for line in _BLOCKS[0].splitlines() if line]) <= 10


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_recipe_has_a_row_with_its_command_and_a_small_picture(name: str) -> None:
    (row,) = [line for line in _README.splitlines() if f"`python -m experiments.run {name}`" in line]
    assert EXPERIMENTS[name].citation in row
    (picture,) = re.findall(r"\((docs/\S+\.png)\)", row)
    assert (pages.ROOT / picture).stat().st_size < 200_000


def test_there_are_no_rows_of_other_recipes() -> None:
    assert set(re.findall(r"`python -m experiments\.run (\w+)`", _README)) == set(EXPERIMENTS)


def test_the_commands_of_the_own_file_are_accepted_with_its_table() -> None:
    (source,) = [block for block in _BLOCKS if "main(" in block]
    found: dict[str, Any] = {}
    exec(source.replace('if __name__ == "__main__":\n    main(', "table = (lambda table: table)("), found)
    commands = [command for command in pages.typed(pages.README) if "mine.py" in command]
    assert len(commands) == 3
    for command in commands:
        assert pages.parse(command, found["table"])


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    first, second = re.findall(r"^    (python3 -m venv .*)$", _README, re.MULTILINE)
    assert first.endswith(" && python -m experiments.run wgan")
    assert second.endswith(" && pytest")
    assert second in (pages.ROOT / ".ci" / "run").read_text()


def test_the_picture_that_moves_is_small() -> None:
    assert "](docs/training.webp)" in _README
    assert (pages.ROOT / "docs" / "training.webp").stat().st_size < 1_500_000


def test_each_claim_has_its_link() -> None:
    claims = _README.split("## What makes it different")[1].split("\n## ")[0].strip().split("\n- ")
    assert len(claims) >= 6
    assert all(re.search(r"\]\(docs/\w+\.md\)\.$", claim) for claim in claims)


def test_the_speeds_are_those_of_the_table() -> None:
    table = (pages.ROOT / "docs" / "benchmark" / "table.md").read_text()
    rows = re.findall(r"^\| (\w+) width .*\| ([\d.]+)x \([^|]*\) \| [\d.]+x \([^|]*\) \|$", table, re.MULTILINE)
    conv = [float(ratio) for name, ratio in rows if "dcgan" in name]
    dense = [float(ratio) for name, ratio in rows if "dcgan" not in name]
    said = re.findall(f"{_NUMBER} to {_NUMBER} times PyTorch on MLPs and {_NUMBER} to {_NUMBER} times", _README)
    assert [float(x) for x in said[0]] == [round(min(dense), 1), round(max(dense), 1), min(conv), max(conv)]


def test_means_and_intervals_of_the_summary_are_those_of_the_tables() -> None:
    number = r"(-?\d*\.?\d+)"
    interval = rf"{number} \[{number}, {number}\]"
    name, checked = "", 0
    for line in (pages.ROOT / "docs" / "reproduction.md").read_text().split("## All tables")[0].splitlines():
        cells = line.split(" | ")
        if len(cells) != 4:
            continue
        name = re.findall(r"\(tables/(\w+)\.md", cells[0])[0] if "(tables/" in cells[0] else name
        for said in re.findall(interval, cells[2]):
            of_table = re.findall(interval, (pages.ROOT / "docs" / "tables" / f"{name}.md").read_text())
            assert [float(x) for x in said] in [[float(x) for x in numbers] for numbers in of_table], line
            checked += 1
    assert checked >= 16

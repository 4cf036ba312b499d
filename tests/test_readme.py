import re
import shlex
from pathlib import Path

import pytest

from experiments import run
from experiments.configs import EXPERIMENTS

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)


@pytest.mark.parametrize("block", range(len(_BLOCKS)))
def test_the_scripts_run(block: int) -> None:
    exec(_BLOCKS[block], {})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_recipe_has_a_row_with_its_command_and_a_small_picture(name: str) -> None:
    (row,) = [line for line in _README.splitlines() if f"`python -m experiments.run {name}`" in line]
    assert EXPERIMENTS[name].paper in row
    (picture,) = re.findall(r"\((docs/\S+\.png)\)", row)
    assert (_ROOT / picture).stat().st_size < 200_000


def test_every_training_command_is_accepted() -> None:
    commands = re.findall(r"^    python -m experiments\.run (.*?)(?:#.*)?$", _README, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        name, *options = shlex.split(command)
        run.parser(name).parse_args(options)


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    (command,) = re.findall(r"^    (python3 -m venv .*pytest)$", _README, re.MULTILINE)
    assert command in (_ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("file", sorted((_ROOT / "docs" / "tables").glob("*.md")), ids=lambda file: file.stem)
def test_it_holds_every_table_as_it_was_made(file: Path) -> None:
    (table,) = re.findall(f"<!-- table {file.stem} -->\n\n(.*?)\n\n<!-- end of {file.stem} -->", _README, re.DOTALL)
    assert table == file.read_text().split("\n\n")[1]


def test_means_and_spreads_of_the_summary_are_those_of_the_tables() -> None:
    number = r"(\d*\.?\d+)"
    name, checked = "", 0
    for line in _README.split("## Reproduction")[1].split("<details>")[0].splitlines():
        cells = line.split(" | ")
        if len(cells) != 4:
            continue
        name = re.findall(r"docs/tables/(\w+)\.md", cells[0])[0] if "docs/tables" in cells[0] else name
        for mean, spread in re.findall(f"{number} ± {number}", cells[2]):
            half = 0.5001 * 10.0 ** -len(mean.partition(".")[2])
            of_table = re.findall(f"{number} ± {number}", (_ROOT / "docs" / "tables" / f"{name}.md").read_text())
            assert any(abs(float(mean) - float(m)) <= half >= abs(float(spread) - float(s)) for m, s in of_table), line
            checked += 1
    assert checked >= 9

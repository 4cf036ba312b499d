import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.cli import Lab
from gan_jax.lab.commands import run, sweep

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text()
_BLOCKS = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)


@pytest.mark.parametrize("block", range(len(_BLOCKS)))
def test_the_scripts_run(block: int) -> None:
    exec(_BLOCKS[block], {})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_recipe_has_a_row_with_its_command_and_a_small_picture(name: str) -> None:
    (row,) = [line for line in _README.splitlines() if f"`python -m experiments.run {name}`" in line]
    assert EXPERIMENTS[name].citation in row
    (picture,) = re.findall(r"\((docs/\S+\.png)\)", row)
    assert (_ROOT / picture).stat().st_size < 200_000


@pytest.mark.parametrize(("command", "parser"), [("run", run.parser), ("sweep", sweep.parser)])
def test_every_training_command_is_accepted(command: str, parser: Any) -> None:
    commands = re.findall(rf"^    python -m experiments\.{command} (.*?)(?:#.*)?$", _README, re.MULTILINE)
    assert len(commands) >= 5
    for typed in commands:
        name, *options = shlex.split(typed)
        parser(Lab(EXPERIMENTS, "{}"), name).parse_args(options)


def test_continuous_integration_runs_the_command_of_the_readme() -> None:
    (command,) = re.findall(r"^    (python3 -m venv .*pytest)$", _README, re.MULTILINE)
    assert command in (_ROOT / ".ci" / "run").read_text()


def test_means_and_spreads_of_the_summary_are_those_of_the_tables() -> None:
    number = r"(\d*\.?\d+)"
    name, checked = "", 0
    for line in _README.split("## Reproduction")[1].split("\n## ")[0].splitlines():
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

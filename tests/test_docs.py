"""The guide: each page's code runs, each command is accepted, each link leads somewhere."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gan_jax.lab import EXPERIMENTS, Experiment
from gan_jax.recipes import dcgan
from tests import pages

_DOCS = pages.ROOT / "docs"
_NAMES = {str(page.relative_to(_DOCS)): page for page in pages.PAGES}
_TABLE = EXPERIMENTS | {"mine": Experiment(dcgan, steps=10)}
# What is a cell, the guide's build executes.
_WITH_BLOCKS = [name for name, page in _NAMES.items() if "```python\n" in page.read_text()]


@pytest.mark.parametrize("name", [*_WITH_BLOCKS, "recipes.md"])
def test_the_code_of_a_page_runs_from_top_to_bottom(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pages.ROOT))
    namespace: dict[str, Any] = {}
    with pages.importable(tmp_path):
        for cell in pages.cells(_NAMES[name]):
            pages.execute(cell, namespace)


def test_cells_are_executed_while_the_guide_is_built_and_an_error_ends_it() -> None:
    settings = (_DOCS / "conf.py").read_text().splitlines()
    assert {'nb_execution_mode = "force"', "nb_execution_raise_on_error = True"} <= {*settings}
    assert "sphinx-build -W" in (pages.ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", _NAMES)
def test_every_command_is_accepted(name: str) -> None:
    for command in pages.typed(_NAMES[name]):
        pages.parse(command, _TABLE)


def test_the_commands_that_are_checked_are_many() -> None:
    found = [command for page in pages.PAGES for command in pages.typed(page) if pages.parse(command, _TABLE)]
    assert len(found) >= 45
    assert sum("experiments.run" in command for command in found) >= 20
    assert sum("experiments.sweep" in command for command in found) >= 10


@pytest.mark.parametrize("name", ["README.md", *_NAMES])
def test_every_link_leads_to_a_file(name: str) -> None:
    page = _NAMES.get(name, pages.README)
    missing = [link for link in pages.links(page) if not (page.parent / link.partition("#")[0]).exists()]
    assert missing == []


def test_every_page_is_in_the_table_of_contents() -> None:
    found = set()
    for page in ("index.md", "reproduction.md", "api/index.md"):
        directory = (_DOCS / page).parent
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", (_DOCS / page).read_text(), re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            found |= {path for name in names for path in directory.glob(name if name.endswith("*") else f"{name}.*")}
    included = {*(_DOCS / "benchmark").rglob("table.md"), _DOCS / "scaling" / "scaling.md"}
    assert {*pages.PAGES, _DOCS / "tour.ipynb"} - included - {_DOCS / "index.md"} <= found


def test_the_tour_is_kept_without_outputs_and_its_commands_are_accepted() -> None:
    cells = json.loads((_DOCS / "tour.ipynb").read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    shell = ["".join(cell["source"]) for cell in code if cell["source"][0] == "%%bash\n"]
    typed = [line for cell in shell for line in cell.splitlines()[1:]]
    assert {line.split()[3] for line in typed} == {"run", "sweep", "evaluate"}
    for line in typed:
        assert line.startswith("python -m gan_jax ")
        assert pages.parse(line.replace("-m gan_jax ", "-m experiments."))


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    version = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (pages.ROOT / "CITATION.cff").read_text()
    assert f"version = {{{version}}}" in (_DOCS / "citation.md").read_text()
    (newest, *_) = re.findall(r"^## (\S+)", (_DOCS / "changelog.md").read_text(), re.MULTILINE)
    assert newest == version

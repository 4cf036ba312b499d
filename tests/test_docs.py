import re
from pathlib import Path
from typing import Any

import pytest

_DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["conditions"])
def test_the_scripts_of_a_page_run_one_after_the_other(name: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (_DOCS / f"{name}.md").read_text(), re.DOTALL)
    assert blocks
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(block, namespace)

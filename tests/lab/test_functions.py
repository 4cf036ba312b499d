from pathlib import Path

import pytest

from gan_jax.errors import InputError
from gan_jax.lab import functions


def test_a_function_is_found_in_a_file_and_in_a_module_beside_which_the_command_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "functions_of_mine.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.chdir(tmp_path)
    for text in (f"{tmp_path}/functions_of_mine.py:double", "functions_of_mine:double"):
        assert functions.load(text, "--tracker", "x")(21) == 42


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nowhere_at_all:log", "No module named"),
        ("json:nothing", "no attribute 'nothing'"),
        ("absent.py:log", "No such file"),
        ("math:pi", "is float, not a function"),
    ],
)
def test_what_is_no_function_is_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^--tracker {text} .*{reason}.*: expected a form$"):
        functions.load(text, "--tracker", "a form")

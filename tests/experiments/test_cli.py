import sys

import pytest

from experiments import cli
from gan_jax.errors import InputError


@pytest.mark.parametrize("file", ["experiments/sweep.py", "experiments/sweep/__main__.py"])
def test_a_sentence_begins_with_the_name_of_its_command(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(argv: list[str]) -> int:
        raise InputError(f"{argv} is too much")

    monkeypatch.setattr(sys, "argv", [file, "all"])
    with pytest.raises(SystemExit) as stopped:
        cli.main(refuse)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "sweep: ['all'] is too much\n"

import sys
from pathlib import Path

import pytest

from experiments import inception_check
from tests.experiments.helpers import call


@pytest.mark.parametrize(
    ("code", "words"), [("raise ImportError('no torch here')", "no torch here"), ("exit(1)", "it says nothing")]
)
def test_an_environment_without_torch_is_one_sentence(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "peer.py").write_text(code)
    monkeypatch.setattr(inception_check, "_PEER", tmp_path / "peer.py")
    assert call(inception_check.main, "--python", sys.executable) == 2
    error = capsys.readouterr().err
    assert words in error and "pip install torch torch-fidelity there" in error
    assert error.count("\n") == 1
    assert call(inception_check.main, "--python", tmp_path / "nothing") == 2
    assert "can't be run" in capsys.readouterr().err

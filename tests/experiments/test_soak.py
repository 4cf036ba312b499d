import re
from pathlib import Path

import pytest

from experiments import soak
from tests.experiments.helpers import call


@pytest.mark.slow
def test_memory_and_speed_are_printed_by_quarters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(soak.__file__).parents[1]))
    tiny = ["--data", "ring", "--width", 4, "--batch-size", 2, "--steps", 40, "--log-every", 10]
    assert call(soak.main, "gan", *tiny) == 0
    printed = capsys.readouterr().out
    assert "40 steps in 4 lines" in printed
    assert re.findall(r"^\| (\d+) to (\d+) \|", printed, re.MULTILINE) == [
        ("0", "10"), ("10", "20"), ("20", "30"), ("30", "40")
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_bad_options_are_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(soak.main, "gan", "--stps", 3) == 2
    assert "did you mean --steps?" in capsys.readouterr().err
    assert call(soak.main, "nogan") == 2

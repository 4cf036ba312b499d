import json
from pathlib import Path

import pytest

from experiments import scaling
from tests.experiments.helpers import call


def test_reduced_bytes_are_read_from_the_program() -> None:
    program = """
  %a = f32[784,128]{1,0} all-reduce(%x), replica_groups={}
  %b = (f32[10]{0}, bf16[2,3]{1,0}, f32[]) all-reduce-start(%y, %z), to_apply=%add
  %c = f32[1000]{0} add(%p, %q)
"""
    assert scaling.sent(program) == 4 * 784 * 128 + 4 * 10 + 2 * 6 + 4


def test_every_gradient_is_reduced_once_and_work_is_divided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(scaling.main, "gan", "--devices", 8, "--out", tmp_path) == 0
    (row,) = json.loads((tmp_path / "scaling.json").read_text())["rows"]
    # G: 100 x 256 + 256 + 256 x 784 + 784; D: 784 x 256 + 256 + 256 + 1.
    assert row["parameters"] == 25_600 + 256 + 200_704 + 784 + 200_704 + 256 + 256 + 1
    # G's gradients once; D's twice, for real and for fake; and a few metrics.
    gradients = 4 * (227_344 + 2 * 201_217)
    assert gradients <= row["collective_bytes"] < gradients + 100
    # Twice G forward, D forward three times, their gradients: what one device does of its own batch of 128.
    products = 2 * 128 * (25_600 + 200_704 + 200_704)
    assert 3 * products < row["flops"] < 6 * products
    output = capsys.readouterr().out
    assert output.splitlines()[2].startswith("| gan | 0.43 M | 1 x 128 |")
    assert (tmp_path / "scaling.md").read_text().strip() == output.strip()

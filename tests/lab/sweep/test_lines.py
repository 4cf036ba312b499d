import json
from pathlib import Path

import pytest

from gan_jax.errors import InputError
from gan_jax.lab.runs import logs
from gan_jax.lab.sweep import lines


def test_metrics_are_read_by_member_and_step(tmp_path: Path) -> None:
    with logs.appending(tmp_path / "metrics.jsonl") as log:
        lines.write_metrics(log, 1, 4, logs.Window(2, 0.5, {"d_loss": 3.0}))
        lines.write_metrics(log, 0, 4, logs.Window())
        lines.write_metrics(log, 1, 4, logs.Window(2, 0.5, {"d_loss": 5.0}))
        log.write('{"member": 0, "ste')
    assert lines.read_metrics(tmp_path, 2) == [{}, {4: {"d_loss": 2.5}}]
    assert lines.read_metrics(tmp_path / "none", 2) == [{}, {}]


@pytest.mark.parametrize("line", ['{"member": 2, "step": 4}', '{"step": 4}', '{"member": 0}', "[]", '{"member": "a"}'])
def test_metrics_of_members_that_there_are_not_are_an_input_error(line: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match="lines of members that the sweep has not"):
        lines.read_metrics(tmp_path, 2)


def test_scores_of_another_metric_or_number_of_samples_are_not_taken(tmp_path: Path) -> None:
    kind = {"metric": "frechet", "samples": 100}
    with logs.appending(tmp_path / "scores.jsonl") as log:
        lines.write_score(log, 0, 4, kind, 1.5)
        lines.write_score(log, 0, 8, kind, None)
        lines.write_score(log, 0, 4, {**kind, "samples": 200}, 2.5)
        lines.write_score(log, 1, 4, {**kind, "metric": "kernel"}, 3.5)
        log.write('{"member": 1')
        lines.write_score(log, 1, 8, {**kind, "features": "others"}, 4.5)
    assert lines.read_scores(tmp_path, kind) == {(0, 4): 1.5, (0, 8): None}
    assert lines.read_scores(tmp_path, {**kind, "samples": 200}) == {(0, 4): 2.5}
    assert lines.read_scores(tmp_path / "none", kind) == {}
    assert json.loads((tmp_path / "scores.jsonl").read_text().splitlines()[1])["score"] is None

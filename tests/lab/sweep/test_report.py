import csv
import math
from pathlib import Path

import numpy as np
import pytest

from gan_jax.lab.sweep import cohorts, report
from gan_jax.lab.sweep.cohorts import Outcome
from tests.lab.sweep.helpers import planned, scored


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_tables_hold_every_option_as_it_is_typed(tmp_path: Path) -> None:
    """So that those of two sweeps, that differ in other options, can be put together."""
    found = []
    for typed in ({"lr": "1e-4,cosine:1e-3:0"}, {"width": "8,16", "ema": "none,0.9"}):
        plan = planned(typed, seeds=2, data="ring")
        outcomes = scored(plan, [1.0] * len(plan.members))
        report.write_tables(tmp_path, plan, outcomes, [{100: {"penalty": 0.5}}] * len(plan.members), "frechet")
        members, settings = read(tmp_path / "members.csv"), read(tmp_path / "settings.csv")
        for member, row in zip(plan.members, members, strict=True):
            config = plan.config(member)
            for option in config.options.keys() - {"sample_every", "stream", "track", "track_every"}:
                assert row[option] == config.spelled(option)
                assert option == "seed" or settings[member.setting][option] == row[option]
            assert (row["experiment"], row["status"], row["penalty_value"]) == ("wgan", "done", "0.5")
        found.append((set(members[0]), set(settings[0])))
    assert found[0] == found[1]


def test_a_score_that_is_not_finite_is_said(tmp_path: Path) -> None:
    plan = planned({"lr": "1e-4,1e-3,1e-2,1e-1"}, rungs=(50, 100))
    outcomes = scored(plan, [1.0, None, 2.0, None], [100, 100, 50, 100])
    outcomes[3] = Outcome(7, None, ("d_loss", 8))
    report.write_tables(tmp_path, plan, outcomes, [{}] * 4, "frechet")
    statuses = ["done", "score not finite", "halved", "d_loss not finite at step 8"]
    assert [row["status"] for row in read(tmp_path / "members.csv")] == statuses
    titles = [report.title(plan, member, outcomes[member.number], "frechet") for member in plan.members]
    assert titles == [
        ("lr 0.0001", "seed 0: frechet 1"), ("lr 0.001", "seed 0: score not finite"),
        ("lr 0.01", "seed 0: frechet 2 at step 50"), ("lr 0.1", "seed 0: d_loss not finite at step 8"),
    ]  # fmt: skip


@pytest.mark.parametrize(("lower", "expected"), [(True, [1, 0, 3, 2, 4]), (False, [0, 1, 3, 2, 4])])
def test_who_came_furthest_stands_first(lower: bool, expected: list[int]) -> None:
    """A mean of few steps is no better than one of many; and one seed without a score leaves no mean."""
    plan = planned({"lr": "1e-4,2e-4,3e-4,4e-4,5e-4"}, rungs=(25, 50, 100), seeds=2)
    scores = [4.0, 2.0, 1.0, 1.5, 0.5, 9.0, 0.1, 9.9, 0.2, None]
    steps = [100, 100, 100, 100, 25, 25, 50, 50, 100, 7]
    assert cohorts.ranked(plan.members, scored(plan, scores, steps), lower_is_better=lower) == expected


@pytest.mark.parametrize(("height", "scale"), [(8, 4), (28, 2), (30, 1), (64, 1)])
def test_rows_of_samples_have_their_titles_beside_them(height: int, scale: int) -> None:
    rows = [np.full((height, 50, 3), shade, np.uint8) for shade in (0, 100, 200)]
    titles = [("lr 0.1", "seed 0: frechet 1"), ("lr 0.01, a long one", "seed 0: frechet 2"), ("", "seed 1")]
    sheet = report.labelled(rows, titles)
    assert sheet.shape[0] == 3 * scale * height
    margin = sheet.shape[1] - scale * 50
    for k, row in enumerate(rows):
        band = sheet[k * scale * height : (k + 1) * scale * height]
        np.testing.assert_array_equal(band[:, margin:], row.repeat(scale, 0).repeat(scale, 1))
        # Its text is light on the black of the first, whole, and in its own band.
        assert band[:, :margin].max() > 155 and (band[[0, -1], :margin] == 0).all()
        assert (band[:, margin - 4 : margin] == 0).all()


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (6, 6), (7, 6)])
def test_pictures_of_points_stand_over_their_titles(count: int, columns: int) -> None:
    sheet = report.tiled([np.full((240, 240, 3), 7, np.uint8)] * count, [("lr 0.1", "seed 0")] * count)
    assert sheet.shape[1] == columns * (240 + 8) + 8
    text = 7 + 2 * 21
    assert sheet.shape[0] == math.ceil(count / columns) * (240 + text + 8) + 8
    assert (sheet[8:248, 8:248] == 7).all()
    under = sheet[248 : 248 + text, 8:248]
    assert under.min() < 100 and (under[[0, -1]] == 255).all()

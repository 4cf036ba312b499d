import itertools
import json
import math
import re
from pathlib import Path

import pytest

from gan_jax.errors import InputError
from gan_jax.lab.report import charts, frames, page
from gan_jax.lab.report.data import differences
from gan_jax.lab.report.runs import curves, duration
from gan_jax.losses import non_saturating, wasserstein
from tests.lab.report import helpers


def test_what_names_say_can_not_end_the_data_nor_become_code(tmp_path: Path) -> None:
    run = helpers.run(tmp_path, name="</script><script>alert(1)</script><!-- <script>")
    text = page.page(helpers.of_runs(run))
    assert text.count("<script") == text.count("</script") == 2
    assert "<title>a &lt; b</title>" in text
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert "<" not in block
    assert json.loads(block)["runs"][0]["name"] == run["name"]


def test_the_page_asks_for_nothing(tmp_path: Path) -> None:
    text = page.page(helpers.of_runs(helpers.run(tmp_path)))
    assert "default-src 'none'; img-src data:;" in text
    shell = re.sub(r'(?s)<script type="application/json".*?</script>', "", text)
    assert set(re.findall(r"https?://[^\s\"'`]+", shell)) == {"http://www.w3.org/2000/svg"}  # A name, not a place.
    assert re.findall(r'(?:src|href)="(?!data:)', shell) == []


def test_numbers_that_json_does_not_have_are_null_and_others_keep_six_digits() -> None:
    found = json.loads(
        page.block({"a": [1.0, math.nan, math.inf, -math.inf, 1 / 3, 123456789.0], "b": (1, True, None)})
    )
    assert found == {"a": [1.0, None, None, None, 0.333333, 123457000.0], "b": [1, True, None]}


@pytest.mark.parametrize(("n", "most"), [(0, 128), (1, 128), (128, 128), (129, 128), (1000, 128), (5, 2), (5, 1)])
def test_pictures_are_thinned_evenly_and_keep_both_ends(n: int, most: int) -> None:
    found = frames.thinned(list(range(n)), most)
    assert len(found) == min(n, most)
    assert found == sorted({*found})
    if n > most > 1:
        assert (found[0], found[-1]) == (0, n - 1)
        gaps = [b - a for a, b in itertools.pairwise(found)]
        assert max(gaps) - min(gaps) <= 1


def test_pictures_are_thinned_until_they_fit(tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.png" for k in range(300)]
    for file in files:
        file.write_bytes(bytes(1000))
    found = frames.chosen(files, 50_000)
    assert 38 <= len(found) <= 50
    assert (found[0], found[-1]) == (files[0], files[-1])
    assert frames.chosen(files, 10) == [files[0], files[-1]]
    assert frames.chosen([], 10) == []


def test_of_many_lines_means_are_drawn_that_lack_nothing() -> None:
    rows = {step: {"d_loss": float(step)} for step in range(1, 2501)}
    rows[7]["diversity"] = 0.5
    rows[8]["diversity"] = 0.7
    steps, columns = curves(rows)
    # Groups of three.
    assert steps[:3] == [3, 6, 9]
    assert steps[-1] == 2500
    assert columns["d_loss"][:2] == [2.0, 5.0]
    assert columns["d_loss"][-1] == 2500.0
    assert [x for x in columns["diversity"] if x is not None] == [pytest.approx(0.6)]
    assert curves({}) == ([], {})
    assert curves({5: {"a": 1.0}}) == ([5], {"a": [1.0]})


def test_no_quantity_is_drawn_twice_nor_beside_one_of_another_unit() -> None:
    keys = ["d_loss", "g_loss", "penalty", "estimate", "d_real", "d_fake", "saturated", "d_grad", "g_grad", "diversity"]
    keys += ["nearest", "frechet", "coverage", "kl", "modes", "steps_per_s", "images_seen", "seconds", "d_fake_after"]
    found = charts.of_keys(keys, [non_saturating()])
    drawn = [line["key"] for chart in found for line in chart["series"]]
    assert sorted(drawn) == sorted({*keys} - {"images_seen", "seconds"})
    together = [{line["key"] for line in chart["series"]} for chart in found if len(chart["series"]) > 1]
    assert together == [
        {"d_loss", "g_loss", "penalty"},
        {"d_real", "d_fake", "d_fake_after"},
        {"d_grad", "g_grad"},
        {"diversity", "nearest"},
    ]
    better = {chart["id"]: chart["better"] for chart in found}
    assert (better["frechet"], better["coverage"], better["losses"]) == ("lower", "higher", None)


def test_outputs_are_probabilities_where_they_are() -> None:
    def note(*losses: object) -> str:
        (chart,) = charts.of_keys(["d_real"], losses)  # type: ignore[arg-type]
        return str(chart["note"])

    assert "probability" in note(non_saturating())
    assert "probability" not in note(wasserstein())
    assert "probability" not in note(non_saturating(), wasserstein())


def test_differences_are_what_differs() -> None:
    found = differences([{"lr": "1", "seed": "0", "clip": "2"}, {"lr": "1", "seed": "1"}])
    assert found == [{"name": "seed", "values": ["0", "1"]}, {"name": "clip", "values": ["2", None]}]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.25 s"),
        (59.0, "59 s"),
        (61.0, "1 min 1 s"),
        (119.8, "2 min 0 s"),
        (3599.0, "1 h 0 min"),
        (3700.0, "1 h 2 min"),
        (90_000.0, "1 d 1 h"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_place_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be written"):
        page.write(tmp_path, helpers.of_runs(helpers.run(tmp_path)))

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gan_jax.lab.report import page
from tests.lab.helpers import call, tiny

_TINY = ["gan", "--data", "ring", *tiny("gan", points=True), "--log-every", 1, "--sample-every", 4]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _data(path: str) -> Any:
    text = Path(path).read_text(encoding="utf-8")
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(block)


def test_a_run_keeps_its_report_while_it_trains_and_the_command_writes_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages: list[dict[str, Any]] = []
    whole = page.page

    def noted(data: dict[str, Any]) -> str:
        pages.append(data)
        return whole(data)

    monkeypatch.setattr(page, "page", noted)
    assert call("run", *_TINY, "--steps", 10, "--report", "--out", "a") == 0
    assert "a/report.html is written with every grid" in capsys.readouterr().out
    # At steps 4, 8 and 10, and when it has ended.
    assert [(data["reload"], data["runs"][0]["status"]) for data in pages] == [
        (page.SECONDS, "training"), (page.SECONDS, "training"), (page.SECONDS, "training"), (None, "finished")
    ]  # fmt: skip
    assert [data["runs"][0]["step"] for data in pages] == [4, 8, 10, 10]
    assert [[frame["step"] for frame in data["runs"][0]["frames"]] for data in pages[:3]] == [[4], [4, 8], [4, 8, 10]]
    assert call("report", "a", "--out", "b.html") == 0
    said = capsys.readouterr().out
    kept, made = _data("a/report.html"), _data("b.html")
    assert kept["runs"] == made["runs"]
    (run,) = made["runs"]
    assert said.startswith(f"a: {run['verdict']['text']}\nb.html (")
    assert run["steps_logged"] == list(range(1, 11))
    assert run["columns"]["images_seen"] == [8 * step for step in range(1, 11)]
    assert {"d_grad", "g_grad", "saturated"} <= run["columns"].keys()
    assert [value is not None for value in run["columns"]["diversity"]] == [step in (4, 8, 10) for step in range(1, 11)]
    seconds = run["columns"]["seconds"]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] <= json.loads(Path("a/run.json").read_text())["seconds_training"] + 1e-3
    facts = dict(run["facts"])
    assert facts["steps"] == "10 of 10"
    assert facts["data"] == "ring, 25,000 examples" or facts["data"].startswith("ring, ")
    label, command = run["commands"][0]
    assert label == "train longer"
    assert command.startswith("python -m experiments.run gan ") and "--steps 20" in command and "ring" in command
    assert [net["name"] for net in run["networks"]] == ["generator", "discriminator"]
    assert run["metrics"] is None

    # A resumed run, another one beside it, and metrics of one.
    assert call("run", "gan", "--resume", "a", "--steps", 12) == 0
    assert call("run", *_TINY, "--steps", 2, "--lr", 1e-3, "--seed", 3, "--out", "c") == 0
    entry = {"value": 1.0, "spread": 0.1, "spread_of": "5 sets", "floor": 0.0, "ceiling": None}
    Path("a/evaluation.json").write_text(
        json.dumps({"step": 12, "n": 100, "metrics": {"kl": entry}})
    )  # fmt: skip
    assert call("report", "a", "c") == 0
    data = _data("report.html")
    assert [run["step"] for run in data["runs"]] == [12, 2]
    assert "in 2 sessions" in dict(data["runs"][0]["facts"])["training took"]
    assert {row["name"]: row["values"] for row in data["differences"]} == {
        "steps": ["10", "2"], "seed": ["0", "3"], "lr": ["0.0002", "0.001"]
    }  # fmt: skip
    (row,) = data["runs"][0]["metrics"]["rows"]
    assert (row["name"], row["better"], row["value"], row["floor"]) == ("kl", "lower", 1.0, 0.0)


def test_a_report_that_can_not_be_written_does_not_cost_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a").mkdir()
    assert call("run", *_TINY, "--steps", 4, "--report", "--out", "a") == 0
    Path("a/report.html").unlink()
    Path("a/report.html").mkdir()
    capsys.readouterr()
    assert call("run", "gan", "--resume", "a", "--steps", 8, "--report") == 1
    assert "can't be written any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere is not a run"),
        (["a", "s"], "a sweep has a report of its own"),
        (["a"] * 9, "shows 8 runs at most, got 9"),
        (["s"], "s/sweep.json is not the record of a sweep"),
        (["a", "--out", "no/a.html"], "there is no directory no"),
        (["a", "--out", "s"], "s can't be written"),
        ([], "the following arguments are required"),
    ],
)
def test_what_can_not_be_shown_is_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s").mkdir()
    Path("s/sweep.json").write_text("{}")
    assert call("report", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_sweep_is_shown_with_its_members_scores_and_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = [*_TINY[:-4], "--log-every", 2, "--steps", 4, "--score-samples", 100]
    assert call("sweep", *tiny, "--lr", "1e-4,1e-3", "--seeds", 2, "--out", "s") == 0
    capsys.readouterr()
    assert call("report", "s") == 0
    data = _data("report.html")
    sweep = data["sweep"]
    assert [(m["number"], m["values"], m["seed"]) for m in sweep["members"]] == [
        (0, {"lr": 1e-4}, 0), (1, {"lr": 1e-4}, 1), (2, {"lr": 1e-3}, 0), (3, {"lr": 1e-3}, 1)
    ]  # fmt: skip
    scores = [json.loads(line) for line in Path("s/scores.jsonl").read_text().splitlines()]
    assert {m["number"]: m["score"] for m in sweep["members"]} == {
        line["member"]: pytest.approx(line["score"], rel=1e-5) for line in scores
    }
    assert all(m["status"] == "done" and m["step"] == 4 and m["src"].startswith("data:") for m in sweep["members"])
    assert [curve["steps_logged"] for curve in sweep["curves"]] == [[2, 4]] * 4
    assert sweep["swept"] == [{"name": "lr", "log": True}]
    assert (sweep["metric"], sweep["lower_is_better"]) == ("sliced_wasserstein", True)
    assert [net["name"] for net in sweep["networks"]] == ["generator", "discriminator"]
    commands = dict(sweep["commands"])
    assert "--steps 8" in commands["train the best longer"] and "--lr 0.0" in commands["train the best longer"]
    # Before it has come to its end.
    for path in ("members.csv", "summary.json", "samples"):
        Path("s", path).rename(f"moved {path}")
    assert call("report", "s") == 0
    assert {m["status"] for m in _data("report.html")["sweep"]["members"]} == {"not finished"}

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest

import gan_jax
from experiments.reproduce import __main__ as reproduce
from experiments.reproduce import images, random_net, seeds, wgan_claims
from experiments.reproduce import table as tables
from experiments.reproduce.table import Column, Outcome, Published, Row, Table
from gan_jax import data, population, recipes, rejection, training
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.lab.measuring import classifiers, measures
from gan_jax.lab.measuring.reference import Draw
from gan_jax.training import Examples
from tests.experiments.helpers import call, trace_training
from tests.helpers import assert_same
from tests.lab.helpers import call as lab_call

KEY = jax.random.key(0)


class Counting:
    """Measures a seed as its square, and says which seeds it was asked for; breaks off at one."""

    def __init__(self, broken: int | None = None) -> None:
        self.seeds: list[int] = []
        self.broken = broken

    def __call__(self, seeds: Sequence[int]) -> list[Outcome]:
        if self.broken in seeds:
            raise KeyboardInterrupt
        self.seeds += seeds
        picture = np.full((2, 3, 3), seeds[0], np.uint8)
        return [Outcome({"square": seed**2, "odd": float("nan")}, {"path": [0, seed]}, picture) for seed in seeds]


def _table(measure: Counting, lr: float = 0.1) -> Table:
    columns = {"square": Column("seed squared", 2), "odd": Column("nothing", 1)}
    others = [Published("theirs", "Someone 2000, table 1", {"square": "7 ± 1"})]
    return Table("Squares", "How it was done.", columns, others, [Row("ours", {"lr": lr}, measure, range(4), 2)])


def _make(table: Table, out: Path) -> None:
    tables.make("squares", table, "the command", out)


def test_the_plot_is_drawn_at_first_and_at_the_end_and_not_for_every_result(tmp_path: Path) -> None:
    drawn = []

    def plot(rows: Any, file: Path) -> None:
        assert file == tmp_path / "squares.png"
        drawn.append([result["seed"] for result in rows["ours"]])

    table = _table(Counting())
    _make(dataclasses.replace(table, rows=[table.rows[0]._replace(at_once=1)], plot=plot), tmp_path)
    assert drawn == [[0], [0, 1, 2, 3]]
    # Where nothing is missing it is drawn again: how it looks may have changed.
    _make(dataclasses.replace(table, plot=plot), tmp_path)
    assert drawn[2:] == [[0, 1, 2, 3]]


def test_time_is_summed_by_what_computed(tmp_path: Path) -> None:
    _make(_table(Counting()), tmp_path)
    file = tmp_path / "squares.json"
    record = json.loads(file.read_text())
    for result, (seconds, made) in zip(
        record["rows"]["ours"]["results"],
        [(500, {}), (200, {}), (30, {"device": "H100", "jax": "0.11"}), (20, {"device": "H100", "jax": "0.11"})],
        strict=True,
    ):
        del result["device"], result["jax"]  # Records from before do not say theirs: it is the machine's.
        result |= {"core_seconds": seconds, **made}
    record["machine"] |= {"device": "cpu", "jax": "0.10"}
    text = tables.markdown(_table(Counting()), record)
    assert "`the command`: 12 core minutes in all, cpu, jax 0.10; 50 seconds in all, H100, jax 0.11, finished" in text


def test_the_work_of_this_process_and_its_children_counts_and_waiting_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = iter([10.0, 17.0])

    class Process(psutil.Process):
        def cpu_times(self) -> tuple[float, ...]:  # User, system, the same of children that have ended, and waiting.
            return 0.5, 0.5, next(worked), 0.5, 1000.0

        def children(self, recursive: bool = False) -> list[psutil.Process]:
            return [SimpleNamespace(cpu_times=lambda: (2.0, 0.25, 0.0, 0.0, 1000.0))] if recursive else []

    monkeypatch.setattr(psutil, "Process", Process)
    tables.make("squares", _table(Counting()), "the command", tmp_path, seeds=2)
    results = json.loads((tmp_path / "squares.json").read_text())["rows"]["ours"]["results"]
    assert [result["core_seconds"] for result in results] == [3.5, 3.5]


def test_markdown_has_others_and_ours_with_mean_and_interval(tmp_path: Path) -> None:
    _make(_table(Counting()), tmp_path / "new")
    lines = (tmp_path / "new" / "squares.md").read_text().splitlines()
    assert lines[0] == "# Squares"
    assert lines[2] == "|  | seeds | seed squared | nothing | core-seconds per seed | source |"
    assert lines[4] == "| theirs |  | 7 ± 1 |  |  | Someone 2000, table 1 |"
    # 0, 1, 4, 9: the middle half is 1, 4. Draws of four whose middle two are 0, 0 are 13 in 256, more than 2.5 %.
    assert lines[5].startswith("| **ours** | 4 | 2.50 [0.00, 9.00] |  | ")
    assert lines[7].startswith("`the command`: 0 core seconds in all, ")
    assert lines[9] == "How it was done."


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    first = Counting(broken=3)
    with pytest.raises(KeyboardInterrupt):
        _make(_table(first), tmp_path)
    again = Counting()
    _make(_table(again), tmp_path)
    assert (first.seeds, again.seeds) == ([0, 1], [2, 3])
    results = json.loads((tmp_path / "squares.json").read_text())["rows"]["ours"]["results"]
    assert [(result["seed"], result["numbers"], result["curves"]) for result in results] == [
        (seed, {"square": seed**2, "odd": None}, {"path": [0, seed]}) for seed in range(4)
    ]
    assert (tmp_path / "squares-ours.png").is_file()


def test_other_settings_are_measured_again(tmp_path: Path) -> None:
    _make(_table(Counting()), tmp_path)
    other = Counting()
    _make(_table(other, lr=0.2), tmp_path)
    assert other.seeds == [0, 1, 2, 3]
    record = json.loads((tmp_path / "squares.json").read_text())
    assert record["rows"]["ours"]["settings"] == {"lr": 0.2}
    assert len(record["rows"]["ours"]["results"]) == 4


def _two_rows(a: Callable[..., Any], b: Callable[..., Any], lr: float = 0.1) -> Table:
    rows = [Row("a", {"lr": lr}, a, range(4), 2), Row("b", {"lr": lr}, b, range(2), 1)]
    return Table("Squares", "", {"square": Column("seed squared", 2)}, [], rows)


def _measured(out: Path) -> dict[str, list[int]]:
    rows = json.loads((out / "squares.json").read_text())["rows"]
    return {name: [result["seed"] for result in row["results"]] for name, row in rows.items()}


def test_some_rows_and_first_seeds_alone_leave_the_others_as_they_are(tmp_path: Path) -> None:
    tables.make("squares", _two_rows(Counting(), Counting()), "", tmp_path, only=["a"])
    assert _measured(tmp_path) == {"a": [0, 1, 2, 3]}
    again, first = Counting(), Counting()
    tables.make("squares", _two_rows(again, first), "", tmp_path, seeds=1)
    assert (again.seeds, first.seeds) == ([], [0])
    assert _measured(tmp_path) == {"a": [0, 1, 2, 3], "b": [0]}


def test_commands_that_measure_rows_of_one_table_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """While one measures a, another measures b and a half of a."""

    class Meanwhile(Counting):
        def __call__(self, seeds: Sequence[int]) -> list[Outcome]:
            if not self.seeds:
                tables.make("squares", _two_rows(Counting(), Counting()), "", tmp_path, only=["b"])
                tables.make("squares", _two_rows(Counting(), Counting()), "", tmp_path, only=["a"], seeds=3)
            return super().__call__(seeds)

    a, b = Meanwhile(), Counting()
    tables.make("squares", _two_rows(a, b), "", tmp_path)
    assert (a.seeds, b.seeds) == ([0, 1, 3], [])
    assert _measured(tmp_path) == {"a": [0, 1, 2, 3], "b": [0, 1]}


def test_a_row_gets_the_results_of_those_it_comes_after(tmp_path: Path) -> None:
    def total(seeds: Sequence[int], *earlier: Sequence[dict[str, Any]]) -> list[Outcome]:
        return [Outcome({"square": sum(result["numbers"]["square"] for own in earlier for result in own)})]

    rows = _two_rows(Counting(), Counting()).rows
    table = Table("Squares", "", {}, [], [*rows, Row("both", {}, total, range(1), 1, ("a", "b"))])
    tables.make("squares", table, "", tmp_path)
    record = json.loads((tmp_path / "squares.json").read_text())
    assert record["rows"]["both"]["results"][0]["numbers"] == {"square": 0 + 1 + 4 + 9 + 0 + 1}


def test_results_of_other_settings_are_not_shown(tmp_path: Path) -> None:
    tables.make("squares", _two_rows(Counting(), Counting()), "", tmp_path)
    tables.make("squares", _two_rows(Counting(), Counting(), lr=0.2), "", tmp_path, only=["b"])
    text = (tmp_path / "squares.md").read_text()
    assert "**b**" in text
    assert "**a**" not in text
    assert _measured(tmp_path) == {"a": [0, 1, 2, 3], "b": [0, 1]}  # Kept, for who still has those settings.


def test_a_command_with_older_settings_does_not_write_over_a_newer_one(tmp_path: Path) -> None:
    class Overtaken(Counting):
        def __call__(self, seeds: Sequence[int]) -> list[Outcome]:
            tables.make("squares", _two_rows(Counting(), Counting(), lr=0.2), "", tmp_path)
            return super().__call__(seeds)

    with pytest.raises(InputError, match="another command measures a with other settings"):
        tables.make("squares", _two_rows(Overtaken(), Counting()), "", tmp_path)
    assert json.loads((tmp_path / "squares.json").read_text())["rows"]["a"]["settings"] == {"lr": 0.2}
    assert _measured(tmp_path) == {"a": [0, 1, 2, 3], "b": [0, 1]}


@pytest.mark.parametrize(
    ("values", "better", "text"),
    [
        ([3.0, 1.0, 10.0, 2.0], "lower", "2.5 (10.0)"),
        ([0.3, 0.1, 0.9], "higher", "0.3 (0.1)"),
        ([3.0, None, 1.0], "lower", "3.0 (not finite)"),
        ([None, 0.5, None], "higher", "not finite (not finite)"),
        ([7.0], "lower", "7.0"),
        ([], "lower", ""),
    ],
)
def test_median_and_worst_seed(values: list[float | None], better: str, text: str) -> None:
    results = [{"numbers": {"x": value}} for value in values] or [{"numbers": {"y": 1.0}}]
    assert tables.median_and_worst(results, "x", 1, better) == text


@pytest.mark.parametrize("text", ["", "[]", '{"rows": {"ours": {"results": 3}}}'])
def test_a_file_that_is_no_table_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "squares.json").write_text(text)
    with pytest.raises(InputError, match="is not the record of a table"):
        _make(_table(Counting()), tmp_path)
    assert (tmp_path / "squares.json").read_text() == text


@pytest.mark.slow
def test_dirac_agrees_with_its_closed_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(reproduce.main, "dirac", "--budget", "small", "--out", tmp_path) == 0
    assert (tmp_path / "dirac-small.md").read_text() in capsys.readouterr().out
    rows = json.loads((tmp_path / "dirac-small.json").read_text())["rows"]
    for row in rows.values():
        for result in row["results"]:
            numbers = result["numbers"]
            for key in ("modulus", "angle"):
                if key in numbers:
                    assert numbers[f"{key}_measured"] == pytest.approx(numbers[key], abs=1e-5)
    distance = {name: np.mean([r["numbers"]["distance"] for r in row["results"]]) for name, row in rows.items()}
    assert min(distance["minimax"], distance["wasserstein"], distance["wasserstein + wgan_gp"]) > 0.9
    assert distance["wasserstein + R1"] < 0.05


@pytest.mark.slow
def test_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace_training(monkeypatch)
    assert call(reproduce.main, "ring", "--budget", "small", "--out", tmp_path) == 0
    rows = json.loads((tmp_path / "ring-small.json").read_text())["rows"]
    assert list(rows) == ["real points", "GAN", "WGAN", "R3GAN, steps"]
    for name, row in rows.items():
        assert [result["seed"] for result in row["results"]] == [0, 1]
        assert (tmp_path / f"ring-small-{tables.picture_name(name)}.png").stat().st_size < 100_000
    real = rows["real points"]["results"][0]["numbers"]
    assert real["modes"] == 8
    assert real["high_quality"] == pytest.approx(98.89, abs=0.7)
    assert real["sigma_ratio"] == pytest.approx(1, abs=0.03)


# Of the rows of real images: (column, least, most), by hand or by the metric's own tests.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "real", "column", "least", "most"),
    [
        ("gan_train", "real images", "gan_test", 0.98, 1),
        ("infogan", "infogan", "code_error", 0.5, 0.9),  # After two steps of a narrow net, barely better than chance.
        ("parzen", "training set", "parzen", 50, 243),  # The whole training set of the protocol gives 243.
        ("stacked", "real images", "modes", 85, 100),  # A hundred draws of a thousand: 95.2 on average.
        ("wgan_claims", "real images", "frechet_last", 1.6, 6),  # 50,000 images have 1.6, fewer have more.
        ("random_net", "mnist", "floor", 4.1, 20.5),  # 2,500 images have 4.1, a fifth of them at most five times that.
    ],
)
def test_tables_of_digits(
    table: str,
    real: str,
    column: str,
    least: float,
    most: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if table != "infogan":
        trace_training(monkeypatch)
    monkeypatch.setattr(measures, "GAN_TRAIN_STEPS", 5)
    monkeypatch.setattr(images, "RATIO_STEPS", 5)
    monkeypatch.setattr(classifiers, "most_steps", lambda examples: 40)
    monkeypatch.setattr(random_net, "_SAMPLES", 500)
    assert call(reproduce.main, table, "--budget", "small", "--out", tmp_path) == 0
    rows = json.loads((tmp_path / f"{table}-small.json").read_text())["rows"]
    for name, row in rows.items():
        for result in row["results"]:
            assert None not in result["numbers"].values()
            if name == real:
                assert least <= result["numbers"][column] <= most


def test_rank_correlations_of_the_whole_run_and_after_its_first_quarter() -> None:
    numbers = wgan_claims._outcome([9.0, 1.0, 2.0, 3.0], [5.0, 10.0, 100.0, 50.0]).numbers
    # Ranks 4 1 2 3 and 1 2 4 3: 1 - 6 (9 + 1 + 4 + 0) / (4 (16 - 1)).
    # Then 1 2 3 and 1 3 2: 1 - 6 (0 + 1 + 1) / (3 (9 - 1)).
    assert numbers["spearman"] == pytest.approx(-0.4)
    assert numbers["later"] == pytest.approx(0.5)


def test_ranks_of_the_random_net_are_compared_with_the_classifiers() -> None:
    curves = {"frechet": [9.0, 4, 1, 2, 3], "net_0": [9.0, 8, 5, 6, 7], "sliced": [1.0, 2, 5, 4, 3]}
    numbers = random_net._outcome(curves, 0.5).numbers
    assert (numbers["first"], numbers["last"], numbers["floor"]) == (9, 3, 0.5)
    assert (numbers["net_0"], numbers["later_net_0"]) == pytest.approx((1, 1))
    assert (numbers["sliced"], numbers["later_sliced"]) == pytest.approx((-1, -1))


def _no_training(net: Any, gan: Any, state: Any, data: Any, rng: Any, *, steps: int, batch_size: int) -> Any:
    return jnp.zeros(()), jnp.zeros(())


@pytest.mark.slow
def test_a_share_of_each_label_is_accepted_in_the_order_in_which_they_were_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bright_zeros_and_dark_ones(net: Any, params: Any, gan: GAN, examples: Examples) -> jax.Array:
        return jnp.where((examples.x[:, 0, 0, 0] > 100) == (examples.labels == 0), 1000.0, -1000.0)

    monkeypatch.setattr(rejection, "train_ratio", _no_training)
    monkeypatch.setattr(rejection, "log_ratio", bright_zeros_and_dark_ones)
    gan, reference = recipes.cdcgan((28, 28, 1), 10, width=4), images.reference(True)
    state = training.initial_state(gan, jax.random.key(0), images.examples(reference))
    grey = np.array([200, 201, 2, 3, 204, 205, 6, 7], np.uint8)
    draw = Draw(np.broadcast_to(grey[:, None, None, None], (8, 28, 28, 1)), np.arange(8, dtype=np.int32) % 2, KEY)
    kept = images._accepted(gan, state, reference, draw, 0.5, 3)
    assert kept.x[:, 0, 0, 0].tolist() == [200, 3, 204]  # And 7, the fourth.
    assert kept.labels is not None
    assert kept.labels.tolist() == [0, 1, 0]


def _small(**options: object) -> seeds.Job:
    return seeds.job_of(seeds.configured("wgan", width=8, latent=2, batch_size=4, **options), data.load("ring"))


@pytest.mark.slow
def test_a_seed_has_the_bits_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up, a schedule's stages, several results along the way: the last state is that of the command's run."""
    monkeypatch.chdir(tmp_path)
    job = _small(lr="steps:1e-3,1e-4", steps=6, warmup_steps=3, warmup_critic=2)
    examples = jax.tree.map(jnp.asarray, data.load("ring").examples)
    *_, (states, metrics) = seeds.train(job, examples, [5, 7], every=2)
    assert metrics["d_loss"].shape == (2, 2)
    typed = ["--data", "ring", "--width", 8, "--latent", 2, "--batch-size", 4, "--lr", "steps:1e-3,1e-4", "--steps", 6]
    typed += ["--warmup-steps", 3, "--warmup-critic", 2]
    assert lab_call("run", "wgan", *typed, "--seed", 7, "--out", "alone") == 0
    assert_same(jax.device_get(seeds.member(states, 1)), jax.device_get(gan_jax.load("alone").state))


@pytest.mark.slow
def test_all_results_of_seeds_are_of_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first states lie as those that training leaves: a second program would cost as much as a small row."""
    traced, train_until = [], population.train_until

    @functools.wraps(train_until)
    def counting(*arguments: Any, **named: Any) -> Any:
        traced.append(named["capacity"])
        return train_until(*arguments, **named)

    monkeypatch.setattr(population, "train_until", counting)
    examples = jax.tree.map(jnp.asarray, data.load("ring").examples)
    assert len(list(seeds.train(_small(steps=6), examples, [0, 1, 2], every=2))) == 3
    assert traced == [2]


@pytest.mark.slow
def test_diverged_seeds_are_named() -> None:
    examples = Examples(jnp.full((10, 2), jnp.nan))
    with pytest.raises(FloatingPointError, match=r"\[3, 4\].*\[False, False\]"):
        next(seeds.train(_small(steps=1), examples, [3, 4]))


def test_settings_are_what_decides_the_results() -> None:
    found = seeds.settings(seeds.configured("cdcgan", lr="cosine:1e-3:0", steps=70))
    assert found["experiment"] == "cdcgan"
    assert (found["lr"], found["steps"], found["batch_size"], found["penalty"]) == ("cosine:0.001:0.0", 70, 64, None)
    assert not {"seed", "data", "log_every"} & found.keys()
    # As if there were no options that came later, unless they are used: earlier results count on.
    assert not {"widths", "augment"} & found.keys()
    assert seeds.settings(seeds.configured("cdcgan", augment="color", widths="8,4"))["augment"] == "color"

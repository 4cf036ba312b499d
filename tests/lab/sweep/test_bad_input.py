"""Whatever is typed for a sweep, and whatever its sweep.json says: it works, or it is one sentence and exit code 2."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gan_jax import recipes
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Experiment, cli
from gan_jax.lab.commands import sweep
from gan_jax.lab.sweep import session, store
from tests.lab.helpers import call, changed

_LAB = cli.Lab(EXPERIMENTS, "python -m experiments.{}")
_settings = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_value = st.sampled_from(
    ["0", "1", "8", "1e-4", "0.5", "none", "recipe", "nan", "inf", "yes", "float32", "hinge", "9" * 30, "", "-1"]
)
_range = st.tuples(st.sampled_from(["log", "uniform"]), _value, _value)
_end = _value | _range.map(lambda parts: f"{parts[0]}({parts[1]},{parts[2]})")
_schedule = st.tuples(st.sampled_from(["linear", "cosine", "steps", "r1"]), st.lists(_end, max_size=3)).map(
    lambda parts: ":".join([parts[0], *parts[1]])
)
_penalties = st.lists(st.tuples(st.sampled_from(["r1", "r2", "wgan_gp", "r3"]), _end | _schedule), max_size=3).map(
    lambda terms: "+".join(":".join(term) for term in terms)
)
_axis = (
    st.lists(_end | _schedule | _penalties, min_size=1, max_size=3).map(",".join)
    | _range.map(":".join)
    | st.sampled_from(["log:", "uniform:1", "log:1:2:3", ",,", ":", "steps:1,2,log(1,2)", "log(", "r1:1+", "+"])
    | _text
)
_own = ["seeds", "draws", "seed", "metric", "score-samples", "memory", "mapping", "resume", "preset"]
_options = sorted({name for experiment in EXPERIMENTS.values() for name in experiment.options})
_flags = st.sampled_from([f"--{name.replace('_', '-')}" for name in [*_options, *_own]])


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@settings(max_examples=200, **_settings)
@given(
    name=st.sampled_from(sorted(EXPERIMENTS)),
    pairs=st.lists(st.tuples(_flags, _axis), max_size=4),
    halving=st.booleans(),
)
@example(name="wgan", pairs=[("--seeds", "2147483647")], halving=False)
@example(name="wgan", pairs=[("--lr", "log:1e-5:1e-3"), ("--draws", "2147483647")], halving=True)
@example(name="wgan", pairs=[("--lr", "log:1e-5:1e-3"), ("--draws", "0")], halving=True)
@example(name="gan", pairs=[("--ema", "uniform:none:0.9"), ("--draws", "1")], halving=False)
@example(name="gan", pairs=[("--penalty", "log(r1:1,r1+r2:2)"), ("--draws", "1")], halving=False)
@example(name="gan", pairs=[("--lr", "log(linear:1:2,linear:2:3)"), ("--draws", "1")], halving=False)
def test_what_is_typed_is_a_plan_or_one_sentence(name: str, pairs: list[tuple[str, str]], halving: bool) -> None:
    planned = []

    def run(lab: cli.Lab, found: store.Store, **limits: Any) -> int:
        planned.append(found.plan)
        return 0

    typed = [word for pair in pairs for word in pair] + (["--halving"] if halving else [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "run", run)
        patch.setattr(cli, "start_jax", lambda **options: None)
        with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()) as output:
            code = call("sweep", name, *typed)
    if code == 0 and not planned:
        assert output.getvalue().startswith("usage: ")
    elif code == 0:
        (plan,) = planned
        for member in plan.members[:3]:
            config = plan.config(member)
            assert config.options.keys() == EXPERIMENTS[name].options.keys()
            # Every value is one that a run can be started with: what is recorded is read again as itself.
            for option, value in config.record.items():
                assert EXPERIMENTS[name].read(option, value) == config.options[option]
        assert plan.rungs[-1] == plan.base.options["steps"]
    else:
        assert code == 2
        assert error.getvalue().endswith("\n")
        assert error.getvalue().count("\n") == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text | _schedule,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=4,
)
_paths: list[tuple[Any, ...]] = [(key,) for key in ("experiment", "options", "members", "rungs", "metric", "data")]
_paths += [("logarithmic",), ("data", 0)]
_paths += [("score_samples",), ("memory",), ("members", 0), ("members", 1, "values"), ("members", 0, "values", "lr")]
_paths += [("members", 1, "seed"), ("members", 0, "setting"), ("rungs", 0), ("options", "data"), ("options", "width")]
_paths += [("members", 1, "values", "penalty"), ("options", "loss"), ("options", "warmup_steps"), ("options", "steps")]


def _written(*typed: object) -> Path:
    path = Path("sweep")
    shutil.rmtree(path, ignore_errors=True)
    options = vars(sweep.parser(_LAB, "wgan").parse_args(list(map(str, typed))))
    store.begin(store.Store(path, sweep._plan(_LAB, "wgan", options), None, 100, 1e9, ("a", "b")))
    return path


@pytest.mark.slow
@settings(max_examples=200, **_settings)
@given(
    changes=st.lists(st.tuples(st.sampled_from(_paths), st.just("gone") | _json), max_size=2), cut=st.integers(0, 4000)
)
def test_any_sweep_json_is_a_sweep_or_an_input_error(changes: list[tuple[tuple[Any, ...], Any]], cut: int) -> None:
    path, whole = Path("sweep"), Path("whole.json")
    if not whole.exists():
        whole.write_text(
            (_written("--lr", "1e-4,cosine:1e-3:0", "--penalty", "recipe,r1:1") / "sweep.json").read_text()
        )
    record = changed(json.loads(whole.read_text()), changes)
    (path / "sweep.json").write_text(json.dumps(record)[: cut if cut < 2000 else None])
    with contextlib.suppress(InputError):
        loaded = store.load(path, "wgan", _LAB)
        assert loaded.path == path
        assert loaded.plan.members
        assert np.isfinite(loaded.memory)
        assert loaded.plan.rungs[-1] == loaded.plan.base.options["steps"]
        assert all(
            loaded.plan.config(member).options["steps"] == loaded.plan.rungs[-1] for member in loaded.plan.members
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([(("members", k, "values"), {"steps": 7}) for k in range(2)], "must not differ in steps"),
        ([(("members", k, "values"), {"seed": 7}) for k in range(2)], "must not differ in seed"),
        ([(("members", 1, "values"), {})], "must all have the same options"),
        ([(("members", 1, "setting"), 2)], "settings must be numbered"),
        ([(("members", 1, "seed"), -1)], "seeds must be at least 0"),
        ([(("rungs", 0), 7)], "rungs must ascend to the last step"),
        ([(("logarithmic",), ["clip"])], "only numbers that are swept can lie in the logarithm"),
        ([(("members", 0, "values", "lr"), "cosine:1e-3")], "expected cosine:START:END"),
        ([(("experiment",), "gan")], "continue it with python -m experiments.sweep gan --resume sweep"),
    ],
)
def test_what_is_wrong_with_a_sweep_json_is_said(changes: list[tuple[tuple[Any, ...], Any]], words: str) -> None:
    path = _written("--lr", "1e-4,1e-3")
    (path / "sweep.json").write_text(json.dumps(changed(json.loads((path / "sweep.json").read_text()), changes)))
    with pytest.raises(InputError) as error:
        store.load(path, "wgan", _LAB)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--lr", "1e-4,1e-3", "--lr", "1e-3"], "--lr is typed twice"),
        (["--lr", "log:1e-5:1e-3", "--draws", "4", "--lr", "1e-3"], "--lr is typed twice"),
        (["--width", "8,16", "--clip", "0.1", "--width", "8,32"], "--width is typed twice"),
        (["--lr", "1e-3,1e-4,0.001"], "got '0.001' twice"),
        (["--lr", "log:1e-3:1e-5", "--draws", "4"], "LOW < HIGH"),
        (["--draws", "4"], "more than the 1 setting in all"),
        (["--lr", "1e-3,1e-4", "--draws", "3"], "more than the 2 settings in all"),
        (["--halving"], "--halving stops the worse half"),
        (["--halving", "--lr", "1e-3", "--seeds", "8"], "--halving stops the worse half"),
        (["--halving", "--lr", "1e-3,1e-4", "--steps", "4", "--log-every", "4"], "lower that"),
    ],
)
def test_what_would_be_lost_without_a_word_is_said(
    typed: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("sweep", "wgan", *typed) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_later_value_replaces_a_single_one() -> None:
    """As a common beginning of commands is varied."""
    options = vars(
        sweep.parser(_LAB, "wgan").parse_args(["--lr", "1e-3", "--width", "8", "--width", "8,16", "--lr", "1"])
    )
    assert (options["lr"], options["width"]) == ((1.0,), (8, 16))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", "7", '"wgan"', ""])
def test_a_file_that_is_no_record_is_an_input_error(text: str) -> None:
    Path("sweep.json").write_text(text)
    with pytest.raises(InputError, match=r"^sweep.json"):
        store.load(Path(), "wgan", _LAB)


def test_the_papers_preset_keeps_the_warm_up_and_what_is_typed() -> None:
    typed = vars(sweep.parser(_LAB, "wgan").parse_args(["--preset", "paper", "--lr", "1e-4,1e-3"]))
    plan = sweep._plan(_LAB, "wgan", typed)
    options = plan.config(plan.members[1]).options
    paper = EXPERIMENTS["wgan"].paper
    assert paper["warmup_steps"] == 25
    assert options == {**EXPERIMENTS["wgan"].defaults, **paper, "lr": 1e-3}


@pytest.mark.parametrize("command", ["sweep", "study"])
def test_an_experiment_without_a_paper_has_no_preset(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    mine, own = {"mine": Experiment(recipes.gan, steps=4)}, {"sweep": [], "study": ["--storage", "study.log"]}
    assert call(command, "mine", *own[command], "--preset", "paper", table=mine) == 2
    assert "unknown option --preset" in capsys.readouterr().err


def test_schedules_penalties_and_none_are_read_again_as_they_were() -> None:
    typed = ["--lr", "0.1,cosine:log(1e-5,1e-3):0:0.3,steps:1e-3,uniform(1e-5,1e-4)", "--draws", 30, "--seeds", 2]
    typed += ["--penalty", "none,recipe,r1:log(0.1,10)+r2:linear:1:0", "--loss", "recipe,hinge", "--width", "8,12"]
    path = _written(*typed, "--ema", "none,0.9", "--warmup-steps", 3)
    record = json.loads((path / "sweep.json").read_text())
    kept = {"experiment", "options", "members", "rungs", "logarithmic", "metric", "score_samples", "memory", "data"}
    kept |= {"features"}
    assert record.keys() == kept
    plain = (bool, int, float, str, type(None))
    assert all(type(value) in plain for value in record["options"].values())
    for member in record["members"]:
        assert member.keys() == {"number", "setting", "values", "seed"}
        assert all(type(value) in plain for value in member["values"].values())
    options = vars(
        sweep.parser(_LAB, "wgan").parse_args([*map(str, typed), "--ema", "none,0.9", "--warmup-steps", "3"])
    )
    loaded = store.load(path, "wgan", _LAB)
    assert loaded.plan == sweep._plan(_LAB, "wgan", options)
    assert loaded == store.Store(path, loaded.plan, None, 100, 1e9, ("a", "b"))

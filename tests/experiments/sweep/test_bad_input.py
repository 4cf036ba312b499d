"""Whatever is typed for a sweep, and whatever its sweep.json says: it works, or it is one sentence and exit code 2."""

import contextlib
import importlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from experiments import cli
from experiments.configs import EXPERIMENTS, RECIPE_OPTIONS, RUN_OPTIONS
from experiments.sweep import command, store
from gan_jax.errors import InputError
from tests.experiments.helpers import call, changed

sweep = importlib.import_module("experiments.sweep.__main__")
_settings = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_value = st.sampled_from(["0", "1", "8", "1e-4", "0.5", "none", "nan", "inf", "yes", "float32", "9" * 30, "", "-1"])
_axis = (
    st.lists(_value, min_size=1, max_size=3).map(",".join)
    | st.tuples(st.sampled_from(["log", "uniform"]), _value, _value).map(":".join)
    | st.sampled_from(["log:", "uniform:1", "log:1:2:3", ",,", ":"])
    | _text
)
_own = ["seeds", "samples", "seed", "metric", "score-samples", "memory", "mapping", "resume", "preset"]
_flags = st.sampled_from([f"--{name.replace('_', '-')}" for name in [*RUN_OPTIONS, *RECIPE_OPTIONS, *_own]])


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@settings(max_examples=600, **_settings)
@given(
    name=st.sampled_from(sorted(EXPERIMENTS)),
    pairs=st.lists(st.tuples(_flags, _axis), max_size=4),
    halving=st.booleans(),
)
@example(name="wgan", pairs=[("--seeds", "2147483647")], halving=False)
@example(name="wgan", pairs=[("--lr", "log:1e-5:1e-3"), ("--samples", "2147483647")], halving=True)
@example(name="wgan", pairs=[("--lr", "log:1e-5:1e-3"), ("--samples", "0")], halving=True)
def test_what_is_typed_is_a_plan_or_one_sentence(name: str, pairs: list[tuple[str, str]], halving: bool) -> None:
    planned = []

    def run(found: store.Store, **limits: Any) -> int:
        planned.append(found.plan)
        return 0

    typed = [word for pair in pairs for word in pair] + (["--halving"] if halving else [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run", run)
        patch.setattr(cli, "start_jax", lambda devices: None)
        with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()) as output:
            code = call(sweep.main, name, *typed)
    if code == 0 and not planned:
        assert output.getvalue().startswith("usage: ")
    elif code == 0:
        (plan,) = planned
        for member in plan.members[:3]:
            config = plan.config(member)
            assert config.run.keys() == EXPERIMENTS[name].run_options.keys()
            assert config.recipe.keys() == EXPERIMENTS[name].recipe_options.keys()
        assert plan.rungs[-1] == plan.base.run["steps"]
    else:
        assert code == 2
        assert error.getvalue().endswith("\n")
        assert error.getvalue().count("\n") == 1


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=4,
)
_paths: list[tuple[Any, ...]] = [(key,) for key in ("experiment", "run", "recipe", "members", "rungs", "metric")]
_paths += [("score_samples",), ("memory",), ("members", 0), ("members", 1, "values"), ("members", 0, "values", "lr")]
_paths += [("members", 1, "seed"), ("members", 0, "setting"), ("rungs", 0), ("run", "data"), ("recipe", "width")]


@settings(max_examples=600, **_settings)
@given(
    changes=st.lists(st.tuples(st.sampled_from(_paths), st.just("gone") | _json), max_size=2), cut=st.integers(0, 4000)
)
def test_any_sweep_json_is_a_sweep_or_an_input_error(changes: list[tuple[tuple[Any, ...], Any]], cut: int) -> None:
    path = Path("sweep")
    typed = vars(sweep._parser("wgan").parse_args(["--lr", "1e-4,1e-3"]))
    store.write(store.Store(path, sweep._plan("wgan", typed), None, 100, 1e9))
    record = changed(json.loads((path / "sweep.json").read_text()), changes)
    (path / "sweep.json").write_text(json.dumps(record)[: cut if cut < 2000 else None])
    with contextlib.suppress(InputError):
        loaded = store.load(path, "wgan")
        assert loaded.path == path
        assert loaded.plan.members
        assert np.isfinite(loaded.memory)
        assert loaded.plan.rungs[-1] == loaded.plan.base.run["steps"]

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from experiments import scaling
from experiments.benchmark import __main__ as benchmark
from experiments.reproduce import __main__ as reproduce
from gan_jax import recipes
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Experiment, cli
from gan_jax.lab.commands import COMMANDS, classifier, evaluate, export, prepare, report, run, sample, study, sweep
from gan_jax.lab.main import main
from tests.lab.helpers import call, tiny

_MINE = {"mine": Experiment(recipes.gan, steps=10, summary="one of my own")}


def _code(*arguments: str, program: str | None = None) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(_MINE, list(arguments), program=program)
    return stopped.value.code


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_a_sentence_begins_with_the_name_of_its_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> int:
        raise InputError("all is too much")

    with pytest.raises(SystemExit) as stopped:
        cli.guarded(command, refuse)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"{command}: all is too much\n"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, "run: interrupted\n"),
        (MemoryError(), 2, "run: out of memory: reduce --batch-size, --width or --n, or use --stream\n"),
        (RuntimeError("RESOURCE_EXHAUSTED: 1 GB\nof 2"), 2, "run: out of memory: reduce --batch-size, --width or --n"),
    ],
)
def test_what_stops_a_command_is_an_exit_code_and_a_sentence(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    with pytest.raises(SystemExit) as stopped:
        cli.guarded("run", fail)
    assert stopped.value.code == code
    written = capsys.readouterr().err
    assert words in written
    assert written.count("\n") == 1


def test_an_error_of_the_program_itself_is_not_hidden() -> None:
    def fail() -> int:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        cli.guarded("run", fail)


def test_without_a_command_all_commands_and_experiments_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in (([], 2), (["--help"], 0), (["-h"], 0)):
        assert _code(*arguments, program="python -m experiments.{}") == code
        listing = capsys.readouterr().out
        assert listing.startswith("usage: python -m experiments.COMMAND ...\n")
        assert all(f"  {name} " in listing for name in (*COMMANDS, "mine"))
        assert "one of my own" in listing
        assert "wgan" not in listing


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert call(command, "--help") == 0
        assert f"usage: python -m experiments.{command} " in capsys.readouterr().out
    for command in ("run", "sweep", "study"):
        assert call(command) == 2
        assert "cgan_embedding" in capsys.readouterr().out
        assert call(command, "wgan", "--help") == 0
        assert "--warmup-steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "there is no command 'rum' (did you mean run?): choose one of prepare, run, sample"),
        (["run", "mime"], "run: there is no experiment 'mime' (did you mean mine?); gan-jax run --help lists them"),
        (["run", "gan"], "run: there is no experiment 'gan'"),
        (["sweep", "mime"], "sweep: there is no experiment 'mime' (did you mean mine?)"),
        (["run", "mine", "--stepz", "3"], "unknown option --stepz (did you mean --steps?); see --help"),
        (["run", "mine", "--st", "3"], "unknown option --st"),
        (["sample", "a", "--out", "b.png", "--bset"], "unknown option --bset (did you mean --best?); see --help"),
        (["sample", "a"], "--out"),
    ],
)
def test_what_was_mistyped_is_one_sentence_with_what_is_nearest(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _code(*arguments, program="gan-jax {}") == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_commands_are_shown_as_they_are_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.Lab(_MINE, "gan-jax {}").command("run", "mine", "--out", "a b") == "gan-jax run mine --out 'a b'"
    assert cli.Lab(_MINE, "python -m experiments.{}").command("run") == "python -m experiments.run"
    for file, program in (("mine.py", "python mine.py"), ("my {}.py", "python 'my {}.py'")):
        monkeypatch.setattr("sys.argv", [file, "run"])
        assert _code("run", "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: {program} run NAME [options]\n")


def test_a_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.path("~/a") == tmp_path / "a"
    assert cli.path("a/~") == Path("a/~")
    assert call("run", "gan", "--data", "ring", "--steps", 1, *tiny("gan", points=True), "--out", "~/runs/a") == 0
    assert call("sample", "~/runs/a", "--n", 4, "--out", "~/a.npz") == 0
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"a.npz", "runs"}


_PARSERS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "prepare": (prepare._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "run": (run.parser, [cli.Lab(EXPERIMENTS, "{}"), "gan"]),
    "sample": (sample._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "evaluate": (evaluate._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "sweep": (sweep.parser, [cli.Lab(EXPERIMENTS, "{}"), "gan"]),
    "study": (study._parser, [cli.Lab(EXPERIMENTS, "{}"), "gan"]),
    "classifier": (classifier._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "export": (export._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "report": (report._parser, [cli.Lab(EXPERIMENTS, "{}")]),
    "reproduce": (reproduce._parser, []),
    "benchmark": (benchmark._parser, []),
    "scaling": (scaling._parser, []),
}


@pytest.mark.parametrize("command", _PARSERS)
def test_a_tilde_is_the_home_directory_in_every_path(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _PARSERS.keys() >= COMMANDS.keys()
    monkeypatch.setenv("HOME", str(tmp_path))
    make, arguments = _PARSERS[command]
    paths = [
        action for action in make(*arguments)._actions if re.search(r"\b(DIR|FILE|RUN)\b", str(action.metavar or ""))
    ]
    assert paths
    for action in paths:
        assert str(action.type("~/a b.png")) == str(tmp_path / "a b.png"), action.option_strings


def test_a_home_that_nobody_has_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["gan", "--out", "~nobody-at-all/a"], ["gan", "--resume", "~nobody-at-all/a"]):
        assert call("run", *arguments) == 2
        error = capsys.readouterr().err
        assert "there is no home directory for '~nobody-at-all/a'" in error
        assert error.count("\n") == 1


_COMMANDS: dict[str, list[object]] = {
    "run": ["gan", "--data", "ring"],
    "run resumed": ["gan", "--resume", "nowhere"],
    "sample": ["nowhere", "--out", "a.png"],
    "evaluate": ["nowhere"],
    "sweep": ["gan", "--data", "ring", "--lr", "1e-3,1e-4"],
    "study": ["gan", "--data", "ring", "--lr", "1e-3,1e-4", "--storage", "s.log"],
    "classifier": ["mnist", "--out", "a.npz"],
}


@pytest.mark.parametrize("command", _COMMANDS)
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AssertionError(), ""),
        (
            RuntimeError("Unable to initialize backend 'x':\nlost. (set JAX_PLATFORMS='' to choose)"),
            "backend 'x': lost",
        ),
    ],
)
def test_a_platform_that_is_not_there_is_one_sentence(
    command: str,
    error: Exception,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "x,y")
    assert call(command.split()[0], *_COMMANDS[command]) == 2
    written = capsys.readouterr().err
    assert "JAX can't start on JAX_PLATFORMS=x,y" in written
    assert reason in written
    assert "gan-jax[cuda]" in written
    assert written.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "module",
    [
        "gan_jax",
        pytest.param("experiments.reproduce", marks=pytest.mark.slow),
        pytest.param("experiments.benchmark", marks=pytest.mark.slow),
    ],
)
def test_a_platform_of_another_name_is_one_sentence(module: str, tmp_path: Path) -> None:
    arguments = {"gan_jax": ["run", "gan"], "experiments.reproduce": ["ring"], "experiments.benchmark": []}[module]
    environment = os.environ | {"JAX_PLATFORMS": "nowhere", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "JAX can't start on JAX_PLATFORMS=nowhere (Unable to initialize backend 'nowhere'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_compiled_programs_are_kept_where_this_user_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cli._cache() == tmp_path / "home" / ".cache" / "gan_jax" / "programs"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cli._cache() == tmp_path / "home" / ".cache" / "gan_jax" / "programs"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cli._cache() == tmp_path / "cache" / "gan_jax" / "programs"
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("XDG_CACHE_HOME")
    for home in ("relative", "/dev/null", "/proc"):
        monkeypatch.setenv("HOME", home)
        assert cli._cache() is None
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "relative").exists()


def test_compiled_programs_are_compressed_as_by_every_other_environment() -> None:
    """JAX reads none that the other of its compressions wrote, and never writes it again."""
    new = time.time_ns() % 1_000_003

    def compressed(x: jax.Array) -> jax.Array:
        return x + new

    kept = Path(jax.config.jax_compilation_cache_dir)
    before = {*kept.glob("jit_compressed-*-cache")}
    jax.jit(compressed)(jnp.ones(3)).block_until_ready()
    (program,) = {*kept.glob("jit_compressed-*-cache")} - before
    assert program.read_bytes().startswith(bytes.fromhex("28b52ffd"))


_RUN, _SAMPLE = ["run", "wgan"], ["sample", "a", "--out", "a.png"]


@pytest.mark.parametrize(
    ("command", "typed", "meant"),
    [
        (_RUN, "--learning-rate", "--lr"),
        (_RUN, "--learning_rate=1e-3", "--lr"),
        (_RUN, "--LR", "--lr"),
        (_RUN, "-lr", "--lr"),
        (_RUN, "--epochs", "--steps"),
        (_RUN, "--num_epochs", "--steps"),
        (_RUN, "--n-steps", "--steps"),
        (_RUN, "--iterations", "--steps"),
        (_RUN, "--batch", "--batch-size"),
        (_RUN, "--batch_size", "--batch-size"),
        (_RUN, "--batchsize", "--batch-size"),
        (_RUN, "--bs", "--batch-size"),
        (_RUN, "--output", "--out"),
        (_RUN, "--output-dir", "--out"),
        (_RUN, "--outdir", "--out"),
        (_RUN, "--dataset", "--data"),
        (_RUN, "--data-dir", "--data"),
        (_RUN, "--checkpoint", "--resume"),
        (_RUN, "--ncritic", "--n-critic"),
        (_RUN, "--z-dim", "--latent"),
        (_RUN, "--force", "--overwrite"),
        (_RUN, "--random-seed", "--seed"),
        (_RUN, "--num-samples", None),
        (_RUN, "--weight-decay", None),
        (_RUN, "--gpus", None),
        (_RUN, "--name", None),
        (_SAMPLE, "--num-samples", "--n"),
        (_SAMPLE, "--class", "--label"),
        (_SAMPLE, "--learning-rate", None),
        (["sweep", "wgan"], "--learning-rate", "--lr"),
        (["study", "wgan", "--storage", "s"], "--epochs", "--steps"),
    ],
)
def test_an_option_by_another_name_is_answered_with_ours_or_with_none(
    command: list[str], typed: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*command, typed, 1) == 2
    hint = f" (did you mean {meant}?)" if meant else ""
    assert capsys.readouterr().err.endswith(f": unknown option {typed}{hint}; see --help\n")


def test_the_help_of_an_experiment_says_what_its_preset_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "r3gan", "--help") == 0
    text = capsys.readouterr().out
    assert "gamma cosine:1.0:0.1:0.78" in text
    assert "of the paper's settings it lacks" in text
    assert EXPERIMENTS["r3gan"].citation in text

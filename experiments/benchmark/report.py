"""The results of the benchmark: results.json, and from it a Markdown table and a plot."""

import importlib.metadata
import importlib.util
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from experiments.benchmark.cases import CASES
from gan_jax.errors import InputError
from gan_jax.lab import devices
from gan_jax.lab.files import write_text
from gan_jax.lab.progress import counted

Results = dict[str, Any]


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    packages = ["jax", "jaxlib", "flax", "optax", *(["torch"] if importlib.util.find_spec("torch") else [])]
    return {
        "device": jax.devices()[0].device_kind,
        "cores": devices.cores(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def read(directory: Path) -> Results:
    """Earlier results, if any.

    Raises:
      InputError: results.json can't be read.
    """
    file = directory / "results.json"
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file} can't be read ({error}): choose a different --out") from error


def write(directory: Path, results: Results) -> None:
    """Writes results.json, table.md and speed.png."""
    write_text(directory / "results.json", json.dumps(results, indent=1) + "\n")
    write_text(directory / "table.md", table(results))
    rows = [results[name]["record"] for name in CASES if name in results]
    if rows:
        _plot(rows, directory / "speed.png")


def table(results: Results) -> str:
    """Markdown: the recipes, populations, streamed data, the sweep and the start-up, as far as they were measured."""
    lines = []
    rows = [results[name]["record"] for name in CASES if name in results]
    if rows:
        lines += [
            "| case | batch | GFLOP/step | steps/s | images/s | share of peak | compile, s | against torch resident | "
            "against torch loader |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for r in rows:
            steps = r["steps_per_s"]["gan_jax"]
            lines.append(
                f"| {r['case']} {_numbers(r['recipe'])} | {r['batch_size']} | {r['gflop_per_step']:.2f} | "
                f"{steps['median']:.3g} ({steps['low']:.3g}-{steps['high']:.3g}) | {r['images_per_s']:.3g} | "
                f"{r['share_of_peak']:.0%} of {r['peak_gflop_per_s']:.0f} GF/s | {r['compile_s']:.1f} | "
                f"{_ratio(r['ratio'].get('torch resident'))} | {_ratio(r['ratio'].get('torch loader'))} |"
            )
    for r in results.get("population", {}).get("record", []):
        lines += [
            "",
            f"| {r['members']} x {r['case']}, width {r['width']} | total steps/s | against one after the other |",
            "|---|---|---|",
        ]
        for key, total in r["total_steps_per_s"].items():
            lines.append(f"| {key} | {total['median']:.4g} | {_ratio(r['ratio_to_one_after_the_other'][key])} |")
    for r in results.get("stream", {}).get("record", []):
        lines += ["", f"| {r['case']}, its defaults | steps/s | against resident |", "|---|---|---|"]
        for key, rate in r["steps_per_s"].items():
            lines.append(f"| {key} | {rate['median']:.4g} | {_ratio(r['ratio_to_resident'].get(key))} |")
    if "metrics" in results:
        r = results["metrics"]["record"]
        cost, low, high = (f"{100 * (r['ratio'][key] - 1):.1f}" for key in ("median", "low", "high"))
        lines += [
            "",
            f"`{r['case']}`, its defaults: gradient norms and the share of saturated outputs take {cost} % ({low} to "
            f"{high} %) of the {r['ms_per_step']:.2f} ms of processor time of a step ({r['pairs']} pairs of "
            f"{r['steps']} steps).",
        ]
    if "accelerator" in results:
        r = results["accelerator"]["record"]
        peaks = ", ".join(f"{key} {value / 1e12:.0f} TFLOP/s" for key, value in r["peak_flop_per_s"].items())
        lines += [
            "",
            f"On one {results['accelerator']['machine']['device']} (matrix product: {peaks}):",
            "",
            "| `run ...` | type | batch | GFLOP/step | steps/s | images/s | share of peak | compile, s |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for own in r["steps"]:
            lines.append(
                f"| `{own['command']}` | {own['dtype']} | {own['batch_size']} | {own['gflop_per_step']:.2f} | "
                f"{own['steps_per_s']['median']:.4g} | {own['images_per_s']:.3g} | {own['share_of_peak']:.1%} | "
                f"{own['compile_s']:.0f} |"
            )
        lines += ["", f"| {r['population']['members']} x wgan, one device | total steps/s |", "|---|---|"]
        lines += [f"| {key} | {rate['median']:.4g} |" for key, rate in r["population"]["total_steps_per_s"].items()]
    if "sweep" in results:
        r = results["sweep"]["record"]
        alone = sorted(r["run_s"])[len(r["run_s"]) // 2]
        lines += [
            "",
            f"`{r['command']}`: {r['sweep_s']:.0f} s for {r['members']} members, "
            f"{counted(r['compilations'], 'compilation')}; one member as a command of its own {alone:.1f} s, "
            f"{r['members']} of them {r['ratio']:.1f} times as long.",
        ]
        if "cached_s" in r:  # Earlier versions did not time it.
            lines[-1] += f" With its programs cached the sweep takes {r['cached_s']:.0f} s: {r['cached_ratio']:.1f}."
    if "startup" in results:
        r = results["startup"]["record"]
        seconds = r["seconds_to_first_step"]
        lines += [
            "",
            f"`{r['command']}`: first step after {seconds['cold']:.1f} s with an empty compilation cache, "
            f"{seconds['warm']:.1f} s the second time.",
        ]
    if "first_sample" in results:
        r = results["first_sample"]["record"]
        least, one, first = (r["cpu_s"][name] for name in ("import_jax", "one_program", "first_sample"))
        lines += [
            "",
            f"`{r['code']}` in a new process: {first:.2f} s of the processor, {first / least:.1f} times `import jax` "
            f"({least:.2f} s; {one:.2f} s with one addition compiled).",
        ]
    return "\n".join(lines) + "\n"


def _numbers(recipe: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {recipe[key]}" for key in ("width", "depth", "n_critic") if key in recipe)


def _ratio(ratio: Mapping[str, float] | None) -> str:
    return "" if ratio is None else f"{ratio['median']:.2f}x ({ratio['low']:.2f}-{ratio['high']:.2f})"


def _plot(rows: list[Any], file: Path) -> None:
    from gan_jax.lab import style  # Not earlier: Matplotlib takes half a second.

    with style.applied("readme"):
        contenders = list(dict.fromkeys(name for r in rows for name in r["steps_per_s"]))
        figure = style.figure(9.0, 3.2)
        axes = figure.add_subplot(yscale="log", ylabel="steps/s (higher is better)")
        for i, name in enumerate(contenders):
            having = [(k, r["steps_per_s"][name]) for k, r in enumerate(rows) if name in r["steps_per_s"]]
            medians = [s["median"] for _, s in having]
            errors = [[s["median"] - s["low"] for _, s in having], [s["high"] - s["median"] for _, s in having]]
            at = [k + (i - (len(contenders) - 1) / 2) * 0.27 for k, _ in having]
            axes.bar(at, medians, 0.25, yerr=errors, capsize=2, label=name)
        axes.set_xticks(range(len(rows)), [r["case"] for r in rows], rotation=15)
        # The limits that Matplotlib finds for bars on a log scale have no height where all bars end at one number.
        rates = [s for r in rows for s in r["steps_per_s"].values()]
        axes.set_ylim(min(s["low"] for s in rates) / 2, max(s["high"] for s in rates) * 2)
        axes.legend()
        style.save(figure, file)

"""Data of a report that was never trained."""

from pathlib import Path
from typing import Any

import numpy as np

from gan_jax import images
from gan_jax.lab.report import charts, frames, page


def frame(folder: Path, step: int, *, of: int = 10) -> dict[str, Any]:
    """A grid whose grey says its step: as many 255ths as `step` is of `of`."""
    pixels = np.full((4, 6, 6, 1), round(255 * step / of), np.uint8)
    images.save_png(folder / f"{step:07d}.png", images.grid(pixels, 2))
    return {"step": step, **frames.inline(folder / f"{step:07d}.png")}


def run(folder: Path, name: str = "runs/wgan/001", *, frames: int = 5) -> dict[str, Any]:
    """A run of a hundred steps in ten lines."""
    steps = list(range(10, 101, 10))
    columns = {
        "d_loss": [-100.0 / step for step in steps],
        "g_loss": [float(step) for step in steps],
        "estimate": [100.0 / step for step in steps],
        "steps_per_s": [20.0 + step for step in steps],
        "images_seen": [64.0 * step for step in steps],
        "seconds": [step / 20 for step in steps],
    }
    return {
        "name": name,
        "recipe": "wgan",
        "summary": "a game",
        "citation": "Somebody 2017",
        "status": "finished",
        "status_text": "finished",
        "step": 100,
        "steps": 100,
        "verdict": {"kind": "improving", "title": "Still improving", "text": "It goes on </script><b>& on."},
        "facts": [["steps", "100 of 100"], ["data", "<img src=x onerror=alert(1)>"]],
        "commands": [["go on", "python -m experiments.run wgan --resume 'a b'"]],
        "options": {"lr": "0.001", "seed": "0"},
        "steps_logged": steps,
        "columns": columns,
        "frames": [frame(folder, step, of=frames) for step in range(1, frames + 1)],
        "pixelated": True,
        "frames_of": frames,
        "metrics": {
            "step": 100,
            "n": 1000,
            "rows": [
                {"name": "frechet", "what": "a distance", "better": "lower", "value": 8.0, "spread": 0.5}
                | {"spread_of": "5 sets", "floor": 2.0, "ceiling": None},
                {"name": "coverage", "what": "a share", "better": "higher", "value": 0.5, "spread": None}
                | {"spread_of": "standard error", "floor": None, "ceiling": 1.0},
            ],
        },
        "networks": [
            {"name": "generator", "parameters": 30, "layers": [["Dense_0", "4 x 4", 20], ["Dense_1", "2", 10]]}
        ],
    }


def of_runs(*runs: dict[str, Any], reload: float | None = None) -> dict[str, Any]:
    keys = {key for one in runs for key in one["columns"]}
    return {
        "kind": "runs",
        "title": "a < b",
        "runs": list(runs),
        "charts": charts.of_keys(keys, []),
        "differences": [{"name": "lr", "values": ["1", "2"]}] if len(runs) > 1 else [],
        "written": "today",
        "reload": reload,
    }


def of_sweep(folder: Path) -> dict[str, Any]:
    """Five members; the third is the best, the last broke."""
    scores = [5.0, 4.0, 1.0, 2.0, None]
    members = [
        {
            "number": k,
            "setting": k,
            "label": f"lr {10.0**-k:g}",
            "seed": k % 2,
            "values": {"lr": 10.0**-k, "width": 2 + k},
            "score": score,
            "step": 100 if score is not None else 40,
            "status": "done" if score is not None else "d_loss not finite at step 41",
            **{key: value for key, value in frame(folder, k, of=5).items() if key != "step"},
        }
        for k, score in enumerate(scores)
    ]
    columns = {"d_loss": [3.0, 2.0, 1.0], "g_loss": [1.0, 2.0, 3.0]}
    return {
        "kind": "sweep",
        "title": "sweeps/wgan/001",
        "sweep": {
            "name": "sweeps/wgan/001",
            "recipe": "wgan",
            "summary": "a game",
            "citation": "Somebody 2017",
            "status": "finished",
            "facts": [["members", "5"]],
            "commands": [],
            "metric": "frechet",
            "lower_is_better": True,
            "swept": [{"name": "lr", "log": True}, {"name": "width", "log": False}],
            "members": members,
            "curves": [
                {
                    "number": k,
                    "steps_logged": [10, 20, 30],
                    "columns": {n: [v + k for v in c] for n, c in columns.items()},
                }
                for k in range(5)
            ],
            "options": {"n_critic": "5"},
        },
        "charts": charts.of_keys(columns, []),
        "written": "today",
        "reload": None,
    }


def write(path: Path, data: dict[str, Any]) -> str:
    """The page as a browser is given it."""
    page.write(path, data)
    return path.resolve().as_uri()

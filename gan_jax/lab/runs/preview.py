"""What a run would be: its networks, what it takes of memory and arithmetic, and what it would write."""

import dataclasses
import math

import jax

from gan_jax import checkpoint
from gan_jax.data import Dataset
from gan_jax.lab import costs, devices
from gan_jax.lab.job import Job
from gan_jax.lab.progress import counted
from gan_jax.lab.runs import chunks
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.runs.journal import images_seen
from gan_jax.lab.runs.layout import Layout, placed

_MIB = 2**20


def lines(run: RunDir, dataset: Dataset, layout: Layout) -> list[str]:
    """The lines of `run --dry-run`. The training program is compiled for them, and kept for the run; nothing runs.

    Args:
      run: as it would be made, or as it lies there.
      dataset: its data.
      layout: the devices that would train it.
    """
    job, gan = run.job, run.job.gan()
    start = max(checkpoint.steps(run.checkpoints), default=0)
    found: list[str] = []
    nets = costs.networks(gan, job)
    for name, layers in nets.items():
        found += [f"{name}, {costs.parameters(layers):,} parameters", *costs.table(layers), ""]
    total, flops = sum(map(costs.parameters, nets.values())), costs.step_flops(gan, job)
    images = images_seen(job, run.until) - images_seen(job, start)
    found += [
        f"parameters: {total:,}, of which {costs.parameters(nets['generator']):,} in the generator",
        f"data: {dataset.name}, {counted(len(dataset), 'example')} of {costs.shown_shape(dataset.shape)}",
        f"steps: {run.until - start:,} with {gan.n_critic} x {job.options['batch_size']} real examples each, "
        f"{images:,} in all, on {_devices(layout)}",
        f"arithmetic: {flops / 1e9:.3g} GFLOP per step, {flops * (run.until - start) / 1e12:.3g} TFLOP in all"
        + (f"; each device {flops / layout.devices / 1e9:.3g} GFLOP per step" if layout.devices > 1 else ""),
        _memory(job, dataset, layout),
        *_files(run, start, dataset),
    ]
    return found


def _devices(layout: Layout) -> str:
    first = jax.devices()[0]
    return f"{counted(layout.devices, 'device')} ({first.device_kind})"


def _memory(job: Job, dataset: Dataset, layout: Layout) -> str:
    state, data, work = _bytes(job, dataset, layout)
    parts, saved = job.options["accumulate"] or 1, ""
    if parts > 1:
        options = {**job.options, "accumulate": 1}
        whole = dataclasses.replace(job, config=dataclasses.replace(job.config, options=options))
        saved = f" ({_bytes(whole, dataset, layout)[2] / _MIB:.3g} MiB without --accumulate {parts})"
    return (
        f"memory per device: {(state + data + work) / _MIB:.3g} MiB of {devices.total_memory() / 2**30:.3g} GiB: "
        f"{state / _MIB:.3g} MiB of parameters and optimizers, {data / _MIB:.3g} MiB of data, {work / _MIB:.3g} MiB to "
        f"work in{saved}"
    )


def _bytes(job: Job, dataset: Dataset, layout: Layout) -> tuple[int, int, int]:
    """Bytes on each device: of the state, of the data, and of all else that the compiled steps hold at once."""
    state = placed(job.fresh_state(), layout.whole)
    advance = chunks.Advancer(job, dataset, layout)
    advance.compile(state)
    sizes = advance.memory(0)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    data = advance.resident_bytes
    total = sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes
    return held, data, total - sizes.alias_size_in_bytes - held - data


def _files(run: RunDir, start: int, dataset: Dataset) -> list[str]:
    options, steps = run.job.options, run.until - start
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(run.job.abstract_state()))

    def times(every: int) -> int:
        return math.ceil(steps / every)

    begun = f"{run.path}, continued at step {start:,}" if start else str(run.path)
    best = ", the best one too in checkpoints-best/" if options["track"] is not None else ""
    return [
        f"files in {begun}:",
        "  config.json, run.json, tensorboard/",
        f"  metrics.jsonl: {counted(_lines(run, start), 'line')}",
        f"  samples/: {counted(times(options['sample_every']), 'picture')}",
        f"  checkpoints/: {times(options['save_every']):,} of {state / _MIB:.3g} MiB each, the last two are kept{best}",
    ]


def _lines(run: RunDir, start: int) -> int:
    """Lines of metrics.jsonl: at each of the steps at which something is logged, drawn or measured."""
    options = run.job.options
    names = ["log_every", "sample_every", *(["track_every"] if options["track"] is not None else [])]
    ends = (range(start - start % options[name] + options[name], run.until, options[name]) for name in names)
    return len({run.until}.union(*ends)) if run.until > start else 0

"""What a train step costs on many devices: python -m experiments.scaling [NAME ...] [--devices 256].

Nothing runs: XLA compiles each recipe's steps for that many virtual devices, with minibatches divided between them, and
reports what every device would compute, move and send. It is the CPU's lowering: D's gradients of real and of fake are
reduced one by one, while accelerators' compilers may add them first, and fewer operations are fused than there.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import sharding, training
from gan_jax.lab import EXPERIMENTS, Job, cli
from gan_jax.lab.experiment import config, nearest
from gan_jax.lab.files import write_errors, write_text
from gan_jax.lab.options import integer
from gan_jax.lab.progress import Progress
from gan_jax.lab.signals import leave_at_once


class Machine(NamedTuple):
    """Published peaks of one device: float32-accumulated bfloat16 FLOP/s, memory and interconnect bytes/s."""

    name: str
    flops: float
    memory: float
    links: float


MACHINES = (
    Machine("TPU v5e", 197e12, 819e9, 200e9),
    Machine("H100 SXM", 989e12, 3.35e12, 450e9),
)

_BYTES = {"f64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "s8": 1, "u8": 1, "pred": 1}


def main(argv: list[str]) -> int:
    """Prints a Markdown table, and with --out writes it and the numbers; returns 0."""
    parser = _parser()
    options = parser.parse_args(argv)
    for name in options.names:
        if name not in EXPERIMENTS:
            parser.error(f"there is no experiment {name!r}{nearest(name, EXPERIMENTS)}")

    cli.start_jax(devices=options.devices)
    if jax.device_count() < options.devices:
        parser.error(f"there are only {jax.device_count()} devices: unset XLA_FLAGS, or reduce --devices")
    names, rows = options.names or list(EXPERIMENTS), []
    with leave_at_once("interrupted; nothing was written"), Progress(len(names), unit="recipe", what="scaling") as bar:
        for name in names:
            with bar.doing(name, counts=True):
                rows.append(_costs(name, options.devices))
            bar.advance()
    text = table(rows, options.devices)
    print(text)
    if options.out is not None:
        with write_errors(options.out):
            options.out.mkdir(parents=True, exist_ok=True)
            write_text(options.out / "scaling.json", json.dumps({"devices": options.devices, "rows": rows}, indent=1))
            write_text(options.out / "scaling.md", text)
    return 0


def _costs(name: str, devices: int) -> dict[str, Any]:
    """FLOPs, bytes moved and bytes sent of one train step, per device, at the paper's settings and batch per device."""
    job = Job(config(EXPERIMENTS, name, {"dtype": "bfloat16"}, paper=True), (28, 28, 1), 10)
    gan = job.gan()
    spread = NamedSharding(Mesh(np.array(jax.devices()[:devices]), ("data",)), P("data"))
    gan = sharding.data_parallel(gan, spread)
    batch_size = job.options["batch_size"] * devices
    x = jax.ShapeDtypeStruct((batch_size, 28, 28, 1), jnp.uint8)
    labels = jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    batch = jax.eval_shape(lambda x, labels: training.as_batch(gan, training.Examples(x, labels)), x, labels)
    batch = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=spread), batch)
    state = job.abstract_state()
    parts = []
    for step, times in ((gan.d_step, gan.n_critic), (gan.g_step, 1)):
        compiled = jax.jit(step).lower(state, batch, jax.random.key(0)).compile()
        cost = compiled.cost_analysis() or {}
        parts.append((times, cost["flops"], cost["bytes accessed"], sent(compiled.as_text() or "")))
    flops, moved, sent_bytes = (sum(part[0] * part[k] for part in parts) for k in (1, 2, 3))
    parameters = sum(leaf.size for leaf in jax.tree.leaves((state.generator.params, state.discriminator.params)))
    return {
        "name": name,
        "parameters": parameters,
        "batch_per_device": job.options["batch_size"],
        "n_critic": gan.n_critic,
        "flops": flops,
        "bytes": moved,
        "collective_bytes": sent_bytes,
    }


def sent(program: str) -> int:
    """Bytes of the results of all reductions between devices in a compiled program's text."""
    total = 0
    for shapes in re.findall(r"= (.*?) all-reduce(?:-start)?\(", program):
        for kind, sizes in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            count = 1
            for size in filter(None, sizes.split(",")):
                count *= int(size)
            total += count * _BYTES[kind]
    return total


def table(rows: list[dict[str, Any]], devices: int) -> str:
    """Markdown: costs of a step per device, and for each machine the slowest part of the step and its time."""
    heads = "".join(f" {machine.name}: step, bound by |" for machine in MACHINES)
    lines = [
        f"| recipe, {devices} devices | parameters | batch per device | GFLOP | MB moved | MB reduced |{heads}",
        "|---|" + "---|" * (5 + len(MACHINES)),
    ]
    for row in rows:
        found = "".join(f" {_bound(row, machine, devices)} |" for machine in MACHINES)
        lines.append(
            f"| {row['name']} | {row['parameters'] / 1e6:.2f} M | {row['n_critic']} x {row['batch_per_device']} | "
            f"{row['flops'] / 1e9:.2f} | {row['bytes'] / 1e6:.1f} | {row['collective_bytes'] / 1e6:.2f} |{found}"
        )
    return "\n".join(lines) + "\n"


def _bound(row: Mapping[str, Any], machine: Machine, devices: int) -> str:
    """The slowest part of a step and its time; a ring sends each byte 2 (n - 1) / n times (Patarasuk & Yuan 2009)."""
    ring = 2 * (devices - 1) / devices
    seconds = {
        "arithmetic": row["flops"] / machine.flops,
        "memory": row["bytes"] / machine.memory,
        "links": ring * row["collective_bytes"] / machine.links,
    }
    slowest = max(seconds, key=lambda part: seconds[part])
    return f"{seconds[slowest] * 1e6:.0f} us, {slowest}"


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(
        prog="python -m experiments.scaling",
        description="FLOPs, bytes moved and bytes reduced between devices, per device and train step, of recipes at\n"
        "their papers' settings with the paper's batch on every device; and what bounds the step on published peaks.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes (default: all)")
    parser.add_argument(
        "--devices", type=cli.reader(integer(2)), default=256, metavar="N", help="devices (default: 256)"
    )
    parser.add_argument("--out", type=cli.path, metavar="DIR", help="write scaling.json and scaling.md here")
    return parser


if __name__ == "__main__":
    cli.guarded("scaling", lambda: main(sys.argv[1:]))

"""The model card of an export: what the generator is, how it was made, what it is worth, how it is used."""

from collections.abc import Iterator, Mapping
from typing import Any

from gan_jax.data import licences
from gan_jax.lab.progress import counted
from gan_jax.lab.report.runs import duration


def card(record: Mapping[str, Any], *, whole: bool) -> str:
    """The README.md of an export, Markdown.

    Args:
      record: as export.json holds it, without the files.
      whole: whether the program and its loader lie beside it.
    """
    parts = [
        _head(record),
        _use(record, whole),
        _facts(record),
        _metrics(record),
        _files(record, whole),
        _limits(record),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {record['experiment']} on {record['options']['data']}"
    yield ""
    yield f"A generator of {_example(record)}, trained with gan_jax: {record['summary']}."
    yield ""
    yield "![samples](samples.png)"


def _example(record: Mapping[str, Any]) -> str:
    shape = record["shape"]
    if "tags" in record:
        height, width, _ = record["beside"]
        return f"{counted(len(record['tags']), 'tag')} for pictures of {width} x {height} pixels"
    if len(shape) == 3:
        return f"images of {shape[0]} x {shape[1]} pixels, {'grey' if shape[2] == 1 else 'in colours'}"
    return f"points of {counted(shape[0], 'number')}"


def _use(record: Mapping[str, Any], whole: bool) -> Iterator[str]:
    of_class = f"16, label={(record['classes'] or ['0'])[-1]!r}"
    argument = {"none": "16", "labels": of_class}.get(record["kind"], "16, y=y")
    yield "## Use"
    yield ""
    if whole:
        yield "With jax and flatbuffers alone (`pip install jax flatbuffers`), in this directory:"
        yield ""
        yield "    import load"
        alone = argument if record["kind"] in ("none", "labels") else "y"
        yield f"    samples = load.sample({'z' if 'own' in record['prior'] else alone})"
        yield ""
    yield "With gan_jax:"
    yield ""
    yield "    import gan_jax"
    yield f'    samples = gan_jax.load("DIR").sample({argument})   # DIR: this directory'
    yield ""
    kind = "uint8 `[n, H, W, C]`" if len(record["shape"]) == 3 else "float32 `[n, D]`"
    if "tags" in record:
        kind += f", 1 where a picture is given the tag of the column, else 0: {', '.join(record['tags'])}"
    yield f"Samples are {kind}. z is {_array(record['z'])}: {record['prior']}.{_condition(record)}"


def _condition(record: Mapping[str, Any]) -> str:
    if record["kind"] == "none":
        return ""
    if record["kind"] == "labels":
        return f" y is int32 `[n]`, a position in the classes {', '.join(record['classes'])}."
    if "dtype" in record["y"]:
        return f" y is {_array(record['y'])}, images scaled to {record['data_range']} where it is one."
    return " y is a dict: " + ", ".join(f"{name} {_array(of)}" for name, of in record["y"].items()) + "."


def _array(described: Mapping[str, Any]) -> str:
    return f"{described['dtype']} `[{', '.join(map(str, ['n', *described['shape']]))}]`"


def _facts(record: Mapping[str, Any]) -> Iterator[str]:
    options, versions, data = record["options"], record["versions"], record["data"]
    licence = licences.of(options["data"]) or "not known here: add it before you hand this on"
    took = duration(record["seconds_training"])
    facts = {
        "recipe": f"`{record['experiment']}`",
        "paper": record["citation"],
        "data": f"`{options['data']}`, {counted(data['count'], 'example')}, fingerprint {data['fingerprint']}",
        "licence of the data": licence,
        "trained": f"{counted(record['step'], 'step')}, {counted(record['images_seen'], 'image')} seen",
        "weights": "the average over steps" if record["averaged"] else "those of the last step",
        "seed": str(options["seed"]),
        "command": f"`{record['command']}`",
        "took": ", ".join(filter(None, [took, record["machine"]])),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "code": f"git commit {record['commit']}" if record["commit"] else "",
    }
    yield "## How it was made"
    yield ""
    yield "| what | |"
    yield "|---|---|"
    yield from (f"| {name} | {text} |" for name, text in facts.items() if text)


def _metrics(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## Metrics"
    yield ""
    found = record["metrics"]
    if found is None:
        yield "Nothing was measured."
        return
    features = f", features: {found['features']}" if found["features"] else ""
    yield (
        f"Of {found['n']:,} samples at step {found['step']:,}{features}. Floor and ceiling are what real data "
        "scores in place of samples."
    )
    yield ""
    yield "| metric | value | better | floor | ceiling | what |"
    yield "|---|---|---|---|---|---|"
    for row in found["rows"]:
        value = _number(row["value"]) + (f" ± {_number(row['spread'])}" if row["spread"] is not None else "")
        better = {"one": "nearer to 1"}.get(row["better"], row["better"])
        bounds = f"{_number(row['floor'])} | {_number(row['ceiling'])}"
        yield f"| `{row['name']}` | {value} | {better} | {bounds} | {row['what']} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _files(record: Mapping[str, Any], whole: bool) -> Iterator[str]:
    players = (
        "both players" if any(name.startswith("discriminator/") for name in record["weights"]) else "the generator"
    )
    yield "## Files"
    yield ""
    if whole:
        yield "- `generator.stablehlo`: a program for CPU, CUDA and TPU, which `load.py` reads by `jax.export`"
    yield f"- `weights.safetensors`: the arrays of {players} by name, for NumPy or any other framework"
    yield "- `export.json`: what `gan_jax.load` reads it back by, with the shape of each array"


def _limits(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "- It makes what its data shows, in that size alone, and was trained with one seed."
    yield "- Nothing keeps a GAN from missing a part of its data, or from repeating examples of it."
    if record["metrics"] is not None:
        yield "- Metrics depend on features and on the number of samples: compare only those measured alike."
    if record["rounded"]:
        rounded = record["rounded"]
        yield (
            f"- Weights are rounded to float16: of {rounded['samples']:,} samples {rounded['share']:.2%} of the pixels "
            f"differ from the run's, by {rounded['largest']} of 255 grey levels at most."
        )
    yield "- Its licence follows that of its data; check both before you use it."

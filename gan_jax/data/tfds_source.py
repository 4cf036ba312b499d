"""tensorflow-datasets, read without TensorFlow.

Data prepared in a random-access format (array_record) can be read without TensorFlow; to prepare most of the stock
datasets takes TensorFlow and the network.
"""

import contextlib
import difflib
import hashlib
import http.client
import io
import os
import re
import threading
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_jax.data import classes, npz
from gan_jax.data.dataset import Dataset, Split, check_alike, without_alpha
from gan_jax.data.folder import preparing_advice
from gan_jax.data.rows import SMALL_BYTES
from gan_jax.errors import InputError
from gan_jax.files import atomic

_SPLITS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("test", "validation", "train"),
}
# The catalogue's names only: namespaces (huggingface:..., kaggle:...) fetch and run third-party code.
_NAME = r"\w+(/\w[\w.+-]*)?(:[\d.*]+)?"
_CHUNK = 5000  # records read at once: several times faster than one by one
_HOST = "https://storage.googleapis.com"  # where tfds keeps what it hosts itself
_ELSEWHERE = (
    "run `tfds build {name} --file_format=array_record` on a machine with network and TensorFlow "
    "and copy the result to {data_dir} here, or use mnist, idx:DIR or npz:FILE instead"
)


def load(name: str, split: Split = "train") -> Dataset:
    """Loads the images, and the labels if any, of a dataset of tensorflow-datasets.

    The data is looked up in $TFDS_DATA_DIR or ~/tensorflow_datasets, as tfds does. If it is not prepared yet, it is
    prepared, if there is a network and tfds can do so without TensorFlow. Decoding is slow, so it is done once: the
    arrays are saved beside the prepared data, one file per split, and read from there until it is prepared again. Many
    images (more than `gan_jax.data.rows.SMALL_BYTES`) are a memory map of that file, and are never in memory together.

    Args:
      name: `NAME[/CONFIG][:VERSION]`, as in tfds.
      split: "train"; or "test", which is the test split, without one the validation split, without either the training
        data itself.

    Returns:
      uint8 images [N, H, W, C], in the order in which tfds stores them. The images are the dataset's supervised input,
      else its only image feature; the labels its supervised target if that is a class, else its only class feature,
      else none.

    Raises:
      InputError: the dataset is unknown, can't be prepared or read here, does not consist of 8-bit images of one size,
        or has labels without a class.
    """
    spec = f"tfds:{name}"
    builder = _prepared_builder(name, spec)
    stored = next((s for s in _SPLITS[split] if s in builder.info.splits), None)
    if stored is None:
        raise _without_train(spec, builder)
    keys = _feature_keys(builder.info, spec)
    arrays = _arrays(builder, stored, keys, spec)
    train = arrays if stored == "train" else _arrays(builder, "train", keys, spec)
    x = arrays["images"]
    notes: tuple[str, ...] = tuple(arrays["notes"].tolist())
    check_alike(spec, x.shape[1:], train["images"].shape[1:])
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()
    if keys.label is not None:
        feature = builder.info.features[keys.label]
        declared = None if feature.num_classes is None else feature.names
        labels, names, more = classes.occurring(spec, arrays["labels"], train["labels"], declared)
        notes += more
    known = None
    if isinstance(x, np.memmap):
        known = hashlib.blake2b(repr((x.shape, names, str(arrays["digest"]))).encode(), digest_size=8).hexdigest()
    return Dataset(spec, x, labels, names, notes, known_fingerprint=known)


class Records(NamedTuple):
    """The examples of a data set, to be read one by one.

    Attributes:
      splits: train, and test where there is a test or a validation split: of a number, the example.
      image: the name of the examples' image.
      labels: int32 `[N]` of each split, as written; empty where there are none.
      declared: the names of the classes, where it has names for them.
      channels: of all images; None where each has its own.
      digest: what other records would change.
    """

    splits: dict[Split, Any]
    image: str
    labels: dict[Split, np.ndarray]
    declared: Sequence[str] | None
    channels: int | None
    digest: str


def records(name: str) -> Records:
    """The records of a dataset, of which only the labels are read here.

    Args:
      name: `NAME[/CONFIG][:VERSION]`, as in tfds.

    Raises:
      InputError: as `load`, but for the images' sizes.
    """
    import tensorflow_datasets as tfds

    spec = f"tfds:{name}"
    builder = _prepared_builder(name, spec)
    keys = _feature_keys(builder.info, spec)
    if "train" not in builder.info.splits:
        raise _without_train(spec, builder)
    stored: dict[Split, str] = {"train": "train"}
    if tests := [s for s in _SPLITS["test"] if s in builder.info.splits and s != "train"]:
        stored["test"] = tests[0]
    labels: dict[Split, np.ndarray] = {}
    if keys.label is not None:
        for split, of in stored.items():
            undecoded = _source(builder, of, spec, decoders={keys.image: tfds.decode.SkipDecoding()})
            found = [example[keys.label] for _, examples in _chunks(undecoded, builder, spec) for example in examples]
            labels[split] = np.array(found, np.int32)
    features = builder.info.features
    declared = None if keys.label is None or features[keys.label].num_classes is None else features[keys.label].names
    made_of = "\n".join(_made_of(builder, of) for of in stored.values())
    splits = {split: _source(builder, of, spec) for split, of in stored.items()}
    digest = hashlib.blake2b(made_of.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return Records(splits, keys.image, labels, declared, features[keys.image].shape[-1], digest)


def _without_train(spec: str, builder: Any) -> InputError:
    return InputError(
        f"{spec}: there is no train split, only {', '.join(builder.info.splits) or 'nothing'}; "
        "choose a different dataset"
    )


def _made_of(builder: Any, stored: str) -> str:
    """What would change if the split was prepared again."""
    files = sorted(Path(builder.data_dir).glob(f"*-{stored}.*-of-*"))
    return "\n".join(f"{path.name} {(of := path.stat()).st_size} {of.st_mtime_ns}" for path in files)


def _arrays(builder: Any, stored: str, keys: "_Keys", spec: str) -> dict[str, np.ndarray]:
    """A whole split, from the cache where it is of this data: `images`; with a label feature `labels`, int32; `notes`,
    as `Dataset` has them; `digest`, which other images or labels would change."""
    directory = Path(builder.data_dir)
    cache = directory / (f"gan_jax-{builder.info.full_name.replace('/', '-')}-{stored}.npz")
    made_of = _made_of(builder, stored)
    count = builder.info.splits[stored].num_examples
    cached = _read_cache(cache, count, made_of, labelled=keys.label is not None)
    if cached is None:
        try:
            _write_cache(cache, _decoded(builder, stored, keys, spec), count, made_of)
        except OSError as error:
            warnings.warn(
                f"the dataset will be decoded again the next time, because its cache can't be written: {error}",
                stacklevel=2,
            )
            return _in_memory(_decoded(builder, stored, keys, spec))
        cached = _read_cache(cache, count, made_of, labelled=keys.label is not None)
    if cached is None:
        raise InputError(f"{spec}: the data in {directory} was changed while it was read; start again")
    return cached


def _prepared_builder(name: str, spec: str) -> Any:
    """The tfds builder of a dataset that is prepared, perhaps just now."""
    if not re.fullmatch(_NAME, name):
        raise InputError(f"{spec}: expected NAME[/CONFIG][:VERSION]; choose one of tensorflow-datasets' catalogue")
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    # tfds reads the variable once, when first imported.
    data_dir = os.environ.get("TFDS_DATA_DIR")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        names = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name, names, n=1)
        raise InputError(
            f"{spec}: tensorflow-datasets has no dataset of this name and none is prepared in "
            f"{data_dir or 'its directory'}"
            f"{f' (did you mean tfds:{near[0]}?)' if near else ''}; give NAME[/CONFIG][:VERSION] as in "
            "its catalogue"
        ) from error
    # tfds raises nearly anything for a name it can't use: ValueError, AssertionError (a version it
    # does not have), TypeError, ImportError (a dataset whose code needs more packages) ...
    except Exception as error:
        raise InputError(
            f"{spec}: tensorflow-datasets can't use this name ({_first_line(error)}); give "
            "NAME[/CONFIG][:VERSION] as in its catalogue"
        ) from error
    if builder.data_path.exists():
        if builder.is_prepared():
            return builder
        raise InputError(
            f"{spec}: {builder.data_dir} exists but holds no whole dataset; copy or prepare it again, or delete it"
        )
    advice = _ELSEWHERE.format(name=name, data_dir=builder.data_dir)
    urls = (url for url in builder.url_infos or () if url.startswith("http"))
    if not _reachable(next(urls, _HOST)):
        raise InputError(
            f"{spec}: the dataset is not prepared on this machine and there is no network to download it; {advice}"
        )
    try:
        # Without TensorFlow tfds prints a banner about it; the error below says the same.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(
                file_format="array_record",
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
    except ImportError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise InputError(
            f"{spec}: preparing the dataset needs a package that is not installed here ({reason}); {advice}"
        ) from error
    # Downloads and dataset code raise nearly anything.
    except Exception as error:
        raise InputError(
            f"{spec}: tensorflow-datasets could not prepare the dataset "
            f"({type(error).__name__}: {_first_line(error)}); {advice}"
        ) from error
    return builder


def _reachable(url: str, timeout: float = 3.0) -> bool:
    """Whether a server responds at `url` within `timeout` seconds; follows the proxy variables.

    In a thread, because the lookup of a name may hang and can't be given a timeout.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=timeout):
                answered.set()
        except urllib.error.HTTPError:  # a refusal is a response
            answered.set()
        except (OSError, http.client.HTTPException):
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return answered.is_set()


class _Keys(NamedTuple):
    """The names of two features."""

    image: str
    label: str | None


def _feature_keys(info: Any, spec: str) -> _Keys:
    """The names of the features that hold the images and the labels."""
    from tensorflow_datasets import features as kinds

    named = isinstance(info.features, kinds.FeaturesDict)
    features = dict(sorted(info.features.items())) if named else {}
    supervised = info.supervised_keys or ()
    images = [key for key, kind in features.items() if isinstance(kind, kinds.Image)]
    classes = [key for key, kind in features.items() if isinstance(kind, kinds.ClassLabel)]
    image = [key for key in images if key in supervised] or images
    label = [key for key in classes if key in supervised] or classes
    if len(image) != 1:
        raise InputError(
            f"{spec}: expected one image feature, found {', '.join(images) or 'none'} among "
            f"{', '.join(features)}; choose a different dataset, or save its images as an npz:FILE"
        )
    return _Keys(image[0], label[0] if len(label) == 1 else None)


def _source(builder: Any, split: str, spec: str, decoders: Any = None) -> Any:
    """The examples of a split, by number."""
    try:
        source = builder.as_data_source(split, decoders=decoders)
    except NotImplementedError as error:
        raise InputError(
            f"{spec}: the data in {builder.data_dir} is not in a random-access format, the only one that "
            "can be read without TensorFlow; prepare it again with "
            f"`tfds build {builder.name} --file_format=array_record --overwrite`"
        ) from error
    if len(source) == 0:
        raise InputError(f"{spec}: split {split} is empty; choose a different dataset")
    return source


def _chunks(source: Any, builder: Any, spec: str) -> Iterator[tuple[range, list[Any]]]:
    """All examples, a chunk of numbers at a time."""
    for start in range(0, len(source), _CHUNK):
        rows = range(start, min(start + _CHUNK, len(source)))
        try:
            examples = source.__getitems__(list(rows))
        # The record reader and the decoders raise nearly anything for damaged data.
        except Exception as error:
            raise InputError(
                f"{spec}: the data in {builder.data_dir} is damaged ({type(error).__name__}: "
                f"{_first_line(error)}); prepare it again"
            ) from error
        yield rows, examples


def _decoded(builder: Any, split: str, keys: _Keys, spec: str) -> Iterator[dict[str, np.ndarray]]:
    """A split in pieces: `images` without alpha, `notes` and, with a label feature, `labels` int32."""
    source = _source(builder, split, spec)
    shape: tuple[int, ...] | None = None
    for _, examples in _chunks(source, builder, spec):
        images = [example[keys.image] for example in examples]
        shape = images[0].shape if shape is None else shape
        for image in images:
            if image.shape != shape:
                raise InputError(
                    f"{spec}: images are of several sizes, such as {shape} and {image.shape}; {preparing_advice(spec)}"
                )
        x, notes = without_alpha(np.stack(images))
        piece = {"images": x, "notes": np.array(notes, np.str_)}
        if keys.label is not None:
            piece["labels"] = np.array([example[keys.label] for example in examples], np.int32)
        yield piece


def _in_memory(pieces: Iterator[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """`_arrays` of its pieces."""
    all_pieces = list(pieces)
    per_example = [key for key in all_pieces[0] if key != "notes"]
    whole = {key: np.concatenate([piece[key] for piece in all_pieces]) for key in per_example}
    return whole | {"notes": all_pieces[0]["notes"]}


def _read_cache(path: Path, count: int, made_of: str, *, labelled: bool) -> dict[str, np.ndarray] | None:
    """What `_write_cache` wrote, or None if it must be written again."""
    if not path.exists():
        return None
    try:
        arrays = npz.read_arrays(path, mapped=("images",) if path.stat().st_size > SMALL_BYTES else ())
    except InputError as error:
        warnings.warn(f"decoding the dataset again, because its cache is bad: {error}", stacklevel=2)
        return None
    if str(arrays.pop("made_of", "")) != made_of:  # Prepared again since, or somewhere else.
        return None
    per_example = {"images", "labels"} if labelled else {"images"}
    if set(arrays) != {*per_example, "notes", "digest"}:
        return None
    return arrays if all(arrays[key].shape[:1] == (count,) for key in per_example) else None


def _write_cache(path: Path, pieces: Iterator[dict[str, np.ndarray]], count: int, made_of: str) -> None:
    """Writes the arrays piece by piece, and in one step: a reader sees all of them or no file."""
    digest, labels, notes = hashlib.blake2b(digest_size=8), [], np.array((), np.str_)
    with atomic(path, shared=True) as partial, zipfile.ZipFile(partial, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as file:
            for index, piece in enumerate(pieces):
                images, notes = piece["images"], piece["notes"]
                if index == 0:
                    header = {"descr": images.dtype.str, "fortran_order": False, "shape": (count, *images.shape[1:])}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(images.data)
                digest.update(images.data)
                if "labels" in piece:
                    labels.append(piece["labels"])
                    digest.update(piece["labels"].data)
        small = {"notes": notes, "made_of": np.array(made_of), "digest": np.array(digest.hexdigest())}
        if labels:
            small["labels"] = np.concatenate(labels)
        for key, array in small.items():
            with archive.open(f"{key}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".:")

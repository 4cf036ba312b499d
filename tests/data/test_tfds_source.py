"""On tiny datasets that an own builder prepares, as the stock ones need network and TensorFlow."""

import http.server
import io
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds  # type: ignore[import-untyped]
from PIL import Image

from gan_jax.data import finding, load, preparing, tfds_source
from gan_jax.data.rows import Rows
from gan_jax.errors import InputError

IMAGE = tfds.features.Image(shape=(4, 5, 3))
LABEL = tfds.features.ClassLabel(num_classes=3)


def png(value: int, height: int = 4) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, 5, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def examples(start: int, stop: int) -> list[dict[str, Any]]:
    return [{"image": png(i), "label": i % 3} for i in range(start, stop)]


class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Whatever features and examples it is given, under the name `gan_jax_tiny`."""

    name = "gan_jax_tiny"
    VERSION = tfds.core.Version("1.2.3")

    def __init__(
        self,
        data_dir: Path,
        features: dict[str, Any],
        splits: dict[str, list[dict[str, Any]]],
        supervised: tuple[str, str] | None = None,
    ) -> None:
        self.given = features, splits, supervised
        super().__init__(data_dir=data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        features, _, supervised = self.given
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=supervised,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        return {split: self._generate_examples(split) for split in self.given[1]}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from enumerate(self.given[1][split])


SPLITS = {"train": examples(0, 7), "test": examples(7, 10)}
DIRECTORY = Path("gan_jax_tiny", "1.2.3")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds_source, "_reachable", lambda url: False)
    return tmp_path


def prepare(
    data_dir: Path,
    features: dict[str, Any] | None = None,
    splits: dict[str, list[dict[str, Any]]] | None = None,
    supervised: tuple[str, str] | None = None,
) -> None:
    features = features or {"image": IMAGE, "label": LABEL}
    builder = Tiny(data_dir, features, splits or SPLITS, supervised)
    builder.download_and_prepare(file_format="array_record")


def check_tiny(split: str, values: range) -> None:
    dataset = load("tfds:gan_jax_tiny", split)
    assert dataset.name == "tfds:gan_jax_tiny"
    assert dataset.x.shape == (len(values), 4, 5, 3)
    assert dataset.num_classes == 3
    order = np.argsort(dataset.x[:, 0, 0, 0])
    np.testing.assert_array_equal(dataset.x[order, 3, 4, 2], values)
    assert dataset.labels is not None
    np.testing.assert_array_equal(dataset.labels[order], np.array(values) % 3)


def test_reads_both_splits(data_dir: Path) -> None:
    prepare(data_dir)
    check_tiny("train", range(7))
    check_tiny("test", range(7, 10))


def test_reads_in_chunks(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_dir)
    monkeypatch.setattr(tfds_source, "_CHUNK", 3)
    check_tiny("train", range(7))


def test_a_version_may_be_given(data_dir: Path) -> None:
    prepare(data_dir)
    assert len(load("tfds:gan_jax_tiny:1.2.3")) == 7
    assert len(load("tfds:gan_jax_tiny:1.*.*")) == 7


def test_does_not_need_tensorflow(data_dir: Path) -> None:
    prepare(data_dir)
    load("tfds:gan_jax_tiny")
    assert "tensorflow" not in sys.modules


def test_the_second_time_nothing_is_decoded(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_dir)
    first = load("tfds:gan_jax_tiny")
    monkeypatch.setattr(tfds_source, "_decoded", None)
    second = load("tfds:gan_jax_tiny")
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.labels, second.labels)
    names = [path.name for path in (data_dir / DIRECTORY).glob("gan_jax-*")]
    assert names == ["gan_jax-gan_jax_tiny-1.2.3-train.npz"]


def test_many_images_are_never_in_memory_together(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_dir)
    monkeypatch.setattr(tfds_source, "_CHUNK", 3)
    in_memory = load("tfds:gan_jax_tiny")
    monkeypatch.setattr(tfds_source, "SMALL_BYTES", 0)
    monkeypatch.setattr(tfds_source, "_in_memory", None)
    (data_dir / DIRECTORY / "gan_jax-gan_jax_tiny-1.2.3-train.npz").unlink()
    for _ in range(2):  # Written, and found there.
        mapped = load("tfds:gan_jax_tiny")
        assert isinstance(mapped.x, np.memmap)
        np.testing.assert_array_equal(mapped.x, in_memory.x)
        np.testing.assert_array_equal(mapped.labels, in_memory.labels)
        np.testing.assert_array_equal(Rows(mapped.x).take(np.array([5, 0])), in_memory.x[[5, 0]])
        assert mapped.classes == in_memory.classes
        check_tiny("train", range(7))


@pytest.mark.parametrize(("key", "value"), [("image", png(99)), ("label", 0)])
def test_other_data_has_another_fingerprint_in_memory_and_mapped(
    key: str, value: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *first, changed, last = SPLITS["train"]
    others = {**SPLITS, "train": [*first, changed | {key: value}, last]}
    for small_bytes in (tfds_source.SMALL_BYTES, 0):
        monkeypatch.setattr(tfds_source, "SMALL_BYTES", small_bytes)
        fingerprints = []
        for splits in (SPLITS, others):
            shutil.rmtree(data_dir / DIRECTORY, ignore_errors=True)
            prepare(data_dir, splits=splits)
            fingerprints += [load("tfds:gan_jax_tiny").fingerprint for _ in range(2)]
        assert fingerprints[0] == fingerprints[1] != fingerprints[2] == fingerprints[3]


def test_a_damaged_cache_is_written_anew(data_dir: Path) -> None:
    prepare(data_dir)
    load("tfds:gan_jax_tiny")
    cache = data_dir / DIRECTORY / "gan_jax-gan_jax_tiny-1.2.3-train.npz"
    whole = cache.read_bytes()
    cache.write_bytes(whole[:100])
    with pytest.warns(UserWarning, match="its cache is bad"):
        check_tiny("train", range(7))
    assert cache.read_bytes() == whole


def test_a_cache_of_other_data_is_written_anew(data_dir: Path) -> None:
    prepare(data_dir)
    cache = data_dir / DIRECTORY / "gan_jax-gan_jax_tiny-1.2.3-train.npz"
    np.savez(cache, images=np.zeros((5, 4, 5, 3), np.uint8), labels=np.zeros(5, np.int32))
    check_tiny("train", range(7))
    with np.load(cache) as arrays:
        assert arrays["images"].shape == (7, 4, 5, 3)


def test_a_read_only_directory_does_not_matter(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_dir)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tfds_source.zipfile, "ZipFile", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.warns(UserWarning, match="its cache can't be written: .*Read-only"):
        check_tiny("train", range(7))


def test_a_failed_write_leaves_nothing_behind(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(data_dir)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="No space left"):
        check_tiny("train", range(7))
    assert not [p for p in (data_dir / DIRECTORY).iterdir() if p.suffix in (".npz", ".partial")]


@pytest.mark.parametrize(("others", "count"), [({}, 7), ({"validation": examples(7, 9)}, 2)])
def test_without_a_test_split(data_dir: Path, others: dict[str, list[dict[str, Any]]], count: int) -> None:
    prepare(data_dir, splits={"train": examples(0, 7)} | others)
    assert len(load("tfds:gan_jax_tiny", "test")) == count


def test_unlabelled(data_dir: Path) -> None:
    prepare(data_dir, {"image": IMAGE}, {"train": [{"image": png(1)}]})
    dataset = load("tfds:gan_jax_tiny")
    assert dataset.labels is None
    assert load("tfds:gan_jax_tiny").labels is None  # from the cache, too


def test_supervised_features_are_preferred(data_dir: Path) -> None:
    features = {"a": IMAGE, "b": IMAGE, "fine": LABEL, "coarse": LABEL}
    example = {"a": png(1), "b": png(2), "fine": 1, "coarse": 2}
    prepare(data_dir, features, {"train": [example]}, ("b", "coarse"))
    dataset = load("tfds:gan_jax_tiny")
    assert dataset.x.max() == 2
    assert dataset.labels is not None and dataset.labels.tolist() == [0]
    assert dataset.classes == ("2",)


def test_classes_have_the_names_of_the_builder(data_dir: Path) -> None:
    label = tfds.features.ClassLabel(names=["zebra", "cat", "ape"])
    rows = [{"image": png(i), "label": i % 2 * 2} for i in range(4)]
    prepare(data_dir, {"image": IMAGE, "label": label}, {"train": rows, "test": [{"image": png(0), "label": 2}]})
    train, test = load("tfds:gan_jax_tiny"), load("tfds:gan_jax_tiny", "test")
    assert train.classes == test.classes == ("zebra", "ape")
    np.testing.assert_array_equal(train.labels, train.x[:, 0, 0, 0] % 2)
    assert test.labels is not None and test.labels.tolist() == [1]
    assert train.notes == ("classes cat have no examples",)


@pytest.mark.parametrize("label", [-1, 1])
def test_labels_of_the_test_split_without_a_training_example(data_dir: Path, label: int) -> None:
    splits = {"train": [{"image": png(1), "label": 0}], "test": [{"image": png(1), "label": label}]}
    prepare(data_dir, {"image": IMAGE, "label": LABEL}, splits)
    assert len(load("tfds:gan_jax_tiny")) == 1
    with pytest.raises(InputError, match="labels run from -1" if label < 0 else "the test split has class 1"):
        load("tfds:gan_jax_tiny", "test")


def test_a_test_split_of_another_size(data_dir: Path) -> None:
    image = tfds.features.Image(shape=(None, 5, 3))
    prepare(data_dir, {"image": image}, {"train": [{"image": png(1)}], "test": [{"image": png(1, height=6)}]})
    with pytest.raises(InputError, match="test examples are 6 x 5 x 3 where training examples are 4 x 5 x 3"):
        load("tfds:gan_jax_tiny", "test")


def test_alpha_is_dropped(data_dir: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 5, 4), [1, 2, 3, 4], np.uint8)).save(buffer, "PNG")
    image = tfds.features.Image(shape=(4, 5, 4))
    prepare(data_dir, {"image": image}, {"train": [{"image": buffer.getvalue()}]})
    for _ in range(2):  # The second time from the cache.
        dataset = load("tfds:gan_jax_tiny")
        assert dataset.x[0, 0, 0].tolist() == [1, 2, 3]
        assert dataset.notes == ("the fourth channel, alpha, is dropped",)


def test_data_that_was_prepared_again_is_decoded_again(data_dir: Path) -> None:
    prepare(data_dir)
    first = load("tfds:gan_jax_tiny")
    cache = data_dir / DIRECTORY / "gan_jax-gan_jax_tiny-1.2.3-train.npz"
    kept = cache.read_bytes()
    shutil.rmtree(data_dir / "gan_jax_tiny")
    prepare(data_dir, splits={"train": examples(20, 27), "test": examples(7, 10)})
    cache.write_bytes(kept)
    assert load("tfds:gan_jax_tiny").x.min() == 20
    assert first.x.max() == 6


def test_images_of_several_sizes_are_prepared_record_by_record(data_dir: Path) -> None:
    image = tfds.features.Image(shape=(None, 5, 3))
    label = tfds.features.ClassLabel(names=["ape", "cat", "zebra"])
    rows = [{"image": png(i, height=4 + i), "label": i % 2 * 2} for i in range(6)]
    prepare(data_dir, {"image": image, "label": label}, {"train": rows[:4], "validation": rows[4:]})
    with pytest.raises(InputError, match=r"of several sizes.*`gan-jax prepare tfds:gan_jax_tiny --size 64 --out prep"):
        load("tfds:gan_jax_tiny")
    (data_dir / "out").mkdir()
    found = finding.find("tfds:gan_jax_tiny")
    assert found.notes == ("classes cat have no examples",)
    preparing.prepare(found, preparing.Options((4, 5)), data_dir / "out", workers=2)
    for split, values in (("train", {0, 1, 2, 3}), ("test", {4, 5})):
        dataset = load(f"prepared:{data_dir / 'out'}", split)
        assert dataset.classes == ("ape", "zebra")
        assert set(dataset.x[:, 0, 0, 0].tolist()) == values
        np.testing.assert_array_equal(dataset.labels, dataset.x[:, 3, 4, 2] % 2)


def test_ambiguous_images(data_dir: Path) -> None:
    prepare(data_dir, {"a": IMAGE, "b": IMAGE}, {"train": [{"a": png(1), "b": png(2)}]})
    with pytest.raises(InputError, match="expected one image feature, found a, b"):
        load("tfds:gan_jax_tiny")


def test_no_images(data_dir: Path) -> None:
    prepare(data_dir, {"label": LABEL}, {"train": [{"label": 1}]})
    with pytest.raises(InputError, match="expected one image feature, found none among label"):
        load("tfds:gan_jax_tiny")


def test_images_of_several_sizes(data_dir: Path) -> None:
    image = tfds.features.Image(shape=(None, 5, 3))
    prepare(data_dir, {"image": image}, {"train": [{"image": png(1)}, {"image": png(1, height=6)}]})
    with pytest.raises(InputError, match="images are of several sizes"):
        load("tfds:gan_jax_tiny")


def test_no_train_split(data_dir: Path) -> None:
    prepare(data_dir, splits={"unsupervised": examples(0, 1)})
    with pytest.raises(InputError, match="there is no train split, only unsupervised"):
        load("tfds:gan_jax_tiny")


def test_damaged_records(data_dir: Path) -> None:
    prepare(data_dir)
    (records,) = (data_dir / DIRECTORY).glob("*train.array_record*")
    data = records.read_bytes()
    records.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="is damaged"):
        load("tfds:gan_jax_tiny")


def test_missing_records(data_dir: Path) -> None:
    prepare(data_dir)
    (records,) = (data_dir / DIRECTORY).glob("*train.array_record*")
    records.unlink()
    with pytest.raises(InputError, match="is damaged"):
        load("tfds:gan_jax_tiny")


def test_data_that_only_tensorflow_can_read(data_dir: Path) -> None:
    prepare(data_dir)
    info = data_dir / DIRECTORY / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match=r"not in a random-access format.*--file_format=array_reco"):
        load("tfds:gan_jax_tiny")


def test_unprepared_without_network(data_dir: Path) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError, match="no network to download it; run `tfds build mnist") as e:
        load("tfds:mnist")
    assert time.perf_counter() - start < 3
    for words in (str(data_dir / "mnist"), "--file_format=array_record", "use mnist, idx:DIR"):
        assert words in str(e.value)
    assert not list(data_dir.iterdir())


def test_half_copied(data_dir: Path) -> None:
    prepare(data_dir)
    (data_dir / DIRECTORY / "dataset_info.json").unlink()
    (data_dir / "gan_jax_tiny").rename(data_dir / "mnist")
    (data_dir / "mnist" / "1.2.3").rename(data_dir / "mnist" / "3.0.1")
    with pytest.raises(InputError, match="holds no whole dataset; copy or prepare it again"):
        load("tfds:mnist")


def unprepared(data_dir: Path, monkeypatch: pytest.MonkeyPatch, images: list[Any]) -> None:
    """There is a network, and `tfds.builder` knows how to make a dataset of these images."""
    monkeypatch.setattr(tfds_source, "_reachable", lambda url: True)
    builder = Tiny(data_dir, {"image": IMAGE}, {"train": [{"image": image} for image in images]})
    monkeypatch.setattr(tfds, "builder", lambda name, data_dir: builder)


def test_unprepared_with_network_is_prepared(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unprepared(data_dir, monkeypatch, [png(1), png(2)])
    assert len(load("tfds:gan_jax_tiny")) == 2


def test_preparing_needs_tensorflow(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unprepared(data_dir, monkeypatch, [np.zeros((4, 5, 3), np.uint8)])
    with pytest.raises(InputError, match=r"not installed .*'tensorflow'\); run `tfds build"):
        load("tfds:gan_jax_tiny")
    assert "Failed to import TensorFlow" not in capfd.readouterr().out


def test_preparing_fails(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unprepared(data_dir, monkeypatch, ["/no/such/image.png"])
    with pytest.raises(InputError, match=r"could not prepare the dataset .*; run `tfds build"):
        load("tfds:gan_jax_tiny")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mnits", "no dataset of this name .*did you mean tfds:mnist"),
        ("gan_jax_no_such", "no dataset of this name and none is prepared in"),
        ("two words", "expected NAME"),
        ("mnist:9.9.9", "only: 3.0.1"),
        ("emnist/no_such_config", "no_such_config not found"),
    ],
)
def test_unknown_names(data_dir: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(f"tfds:{name}")


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.usefixtures("direct")
def test_reachable_is_false_where_nothing_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not tfds_source._reachable(f"http://127.0.0.1:{closed.getsockname()[1]}")


@pytest.mark.usefixtures("direct")
def test_reachable_is_true_where_anything_answers_a_refusal_too() -> None:
    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *args: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Refuse) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert tfds_source._reachable(f"http://127.0.0.1:{server.server_port}")
        thread.join()


@pytest.mark.usefixtures("direct")
def test_reachable_does_not_wait_for_the_silent() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.perf_counter()
        assert not tfds_source._reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)
        assert time.perf_counter() - start < 2

import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import finding
from gan_jax.data.originals import Originals
from gan_jax.errors import InputError
from tests.data.helpers import blobs, save


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Four images of two classes, and what is none."""
    for i, name in enumerate(("cat/b.png", "cat/deep/a.png", "dog 10/c.png", "dog 2/d.png")):
        save(tmp_path / "pets" / name, blobs(1, 4 + i, 5, seed=i)[0])
    (tmp_path / "pets/cat/notes.txt").write_text("none")
    save(tmp_path / "pets/.hidden/e.png", blobs(1, 4, 4)[0])
    return tmp_path / "pets"


def zipped(folder: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, inside + str(file.relative_to(folder)))
    return path


def pixels(found: Originals) -> list[np.ndarray]:
    images = []
    for number in range(len(found)):
        with found.open(number) as image:
            images.append(np.asarray(image))
    return images


def test_a_folder_of_mixed_sizes(pets: Path) -> None:
    found = finding.find(str(pets))
    assert found.spec == f"folder:{pets}"
    assert found.names == ["cat/b.png", "cat/deep/a.png", "dog 2/d.png", "dog 10/c.png"]
    assert found.classes == ("cat", "dog 2", "dog 10")
    assert found.labels is not None and found.labels.tolist() == [0, 0, 1, 2]
    assert not found.tested.any()
    assert found.notes == ("no images by their extension: notes.txt",)
    assert [image.shape[0] for image in pixels(found)] == [4, 5, 7, 6]


@pytest.mark.parametrize("inside", ["", "data/pets/"])
def test_an_archive_is_as_the_folder_that_was_packed(pets: Path, inside: str) -> None:
    path = zipped(pets, pets.parent / "pets.zip", inside)
    here, there = finding.find(str(pets)), finding.find(str(path))
    assert (there.names, there.classes, there.notes) == (here.names, here.classes, here.notes)
    np.testing.assert_array_equal(there.labels, here.labels)
    for a, b in zip(pixels(here), pixels(there), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(os.listdir(pets.parent)) == ["pets", "pets.zip"]


@pytest.mark.parametrize("packed", [False, True])
def test_folders_named_as_splits_are_splits(tmp_path: Path, packed: bool) -> None:
    for i, name in enumerate(("train/a/1.png", "train/b/2.png", "val/b/3.png", "extra/4.png")):
        save(tmp_path / "sets" / name, blobs(1, 4, 4, seed=i)[0])
    source = tmp_path / "sets"
    found = finding.find(str(zipped(source, tmp_path / "sets.zip") if packed else source))
    assert found.names == ["train/a/1.png", "train/b/2.png", "val/b/3.png"]
    assert found.tested.tolist() == [False, False, True]
    assert found.labels is not None and found.labels.tolist() == [0, 1, 1]
    assert found.notes == ("not used: extra/",)


def test_one_loose_image_in_an_archive(tmp_path: Path) -> None:
    save(tmp_path / "one/a.png", blobs(1, 4, 4)[0])
    found = finding.find(str(zipped(tmp_path / "one", tmp_path / "one.zip")))
    assert (found.names, found.labels) == (["a.png"], None)


def test_arrays_with_their_labels_and_tests(tmp_path: Path) -> None:
    x = blobs(5, 6, 6)
    np.savez(
        tmp_path / "a.npz", images=x[:3], labels=np.array([4, 9, 4]), test_images=x[3:], test_labels=np.array([9, 9])
    )
    for source in (f"npz:{tmp_path / 'a.npz'}", str(tmp_path / "a.npz")):
        found = finding.find(source)
        assert found.spec == f"npz:{tmp_path / 'a.npz'}"
        assert found.labels is not None and found.labels.tolist() == [0, 1, 0, 1, 1]
        assert found.classes == ("4", "9")
        assert found.tested.tolist() == [False, False, False, True, True]
        np.testing.assert_array_equal(np.stack(pixels(found)), x)


def test_what_changes_a_source_changes_its_digest(pets: Path) -> None:
    before = finding.find(str(pets)).digest
    assert finding.find(str(pets)).digest == before
    save(pets / "cat/b.png", blobs(1, 9, 9)[0])
    changed = finding.find(str(pets)).digest
    save(pets / "cat/z.png", blobs(1, 9, 9)[0])
    assert len({before, changed, finding.find(str(pets)).digest}) == 3


def test_points_are_refused() -> None:
    with pytest.raises(InputError, match="ring is points, which need no preparing"):
        finding.find("ring")


@pytest.mark.parametrize(("source", "words"), [
    ("nowhere", "there is no nowhere: give a folder, a .zip, tfds:NAME, idx:DIR or npz:FILE"),
    ("folder:nowhere", "can't list the directory"),
    ("zip:nowhere.zip", "the archive can't be read .*No such file"),
    ("npz:nowhere.npz", "there is no such file"),
])  # fmt: skip
def test_sources_that_are_not_there(source: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        finding.find(source)


def test_an_empty_folder_and_an_empty_archive(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", zipped(tmp_path / "empty", tmp_path / "empty.zip")):
        with pytest.raises(InputError, match="there are no images here"):
            finding.find(str(path))


def test_a_broken_archive(pets: Path) -> None:
    path = zipped(pets, pets.parent / "pets.zip")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"the archive can't be read \(File is not a zip file\): download or pack"):
        finding.find(str(path))


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png"])
def test_an_archive_with_a_path_outside_itself(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("fine.png", b"")
        archive.writestr(name, b"")
    with pytest.raises(
        InputError, match=r"^zip:[^ ]*: the archive holds a path outside itself, '[^ ]*a\.png': pack .*"
    ):
        finding.find(str(tmp_path / "a.zip"))


def test_an_archive_that_expands_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2**20))
    monkeypatch.setattr(finding, "_MEMBER_BYTES", 2**20 - 1)
    with pytest.raises(InputError, match=r"'a\.png' expands to 1 MiB, and images have at most"):
        finding.find(str(path))
    monkeypatch.undo()
    # Many members that are the same bytes of the archive, as in the bombs that are known.
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(20):
            same = zipfile.ZipInfo(f"{i}.png")
            same.file_size, same.compress_size, same.CRC, same.header_offset = 2**27, 1000, 0, 0
            archive.filelist.append(same)
        archive._didModify = True
    with pytest.raises(InputError, match=r"says that it expands to [0-9,]+, which it can't hold"):
        finding.find(str(path))


def test_an_encrypted_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"")
        archive.filelist[0].flag_bits |= 1
    with pytest.raises(InputError, match=r"'a\.png' is encrypted: unpack the archive with its password"):
        finding.find(str(path))


def test_a_link_in_an_archive_is_no_way_out(tmp_path: Path) -> None:
    save(tmp_path / "secret.png", blobs(1, 4, 4)[0])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(tmp_path / "secret.png"))
    found = finding.find(str(tmp_path / "a.zip"))
    with pytest.raises(Image.UnidentifiedImageError), found.open(0):
        pass

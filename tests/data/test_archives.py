"""Tars, Parquet files and saved datasets have the pixels, labels and ids that were put in."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vaescape.data import Data, opened
from vaescape.data.opening import fitted
from vaescape.data.packed import Packed
from vaescape.data.packing import pack
from vaescape.data.parquet import Parquet
from vaescape.data.webdataset import WebDataset
from vaescape.errors import DataError, ImageError, MissingExtraError

SIZE = 8


def pictures(count: int, seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (SIZE, SIZE)).astype(np.uint8) for _ in range(count)]


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def packed(data: Data, out: Path, workers: int = 1) -> Packed:
    return Packed(str(pack(data, out, source="here", workers=workers)))


def pixels(data: Data, split: Any) -> list[list[list[int]]]:
    return data.load(split).pixels[:, 0].tolist()


@pytest.fixture
def train() -> list[np.ndarray]:
    return pictures(11, seed=1)


@pytest.fixture
def test() -> list[np.ndarray]:
    return pictures(4, seed=2)


@pytest.fixture
def tars(tmp_path: Path, train, test) -> Path:
    """Two tars to train on and one to test on, with numbers 0, 2, 10 as classes."""
    root = tmp_path / "tars"
    for name, some in {"s-train-0": train[:6], "s-train-1": train[6:], "s-test-0": test}.items():
        members = {}
        for n, one in enumerate(some):
            members[f"a.dir/{name}-{n:03}.png"] = png(one)
            members[f"a.dir/{name}-{n:03}.seg.png"] = b"a mask that nobody reads"
            members[f"a.dir/{name}-{n:03}.cls"] = f"{(0, 2, 10)[n % 3]}\n".encode()
        write_tar(root / f"{name}.tar", members)
    return root


@pytest.mark.parametrize("workers", [1, 2])
def test_tars_are_packed_in_their_order(tars: Path, tmp_path, train, test, workers, monkeypatch):
    monkeypatch.setattr("vaescape.data.packing.PICTURES", 4)
    text = fitted(str(tars), size=SIZE, grey=True)
    assert text.startswith(f"webdataset(path={str(tars)!r}")
    made = packed(opened(text), tmp_path / "out", workers)
    assert pixels(made, "train") == np.stack(train).tolist()
    assert pixels(made, "test") == np.stack(test).tolist()
    assert made.classes == ("0", "2", "10")
    assert made.load("train").labels.tolist() == [n % 3 for n in (*range(6), *range(5))]
    assert made.ids("train", slice(5, 7)).tolist() == ["a.dir/s-train-0-005", "a.dir/s-train-1-000"]
    source = opened(text)
    assert (made.digest(), made.preparation) == (source.digest(), source.preparation)


def test_labels_may_be_names_or_in_json_or_missing(tmp_path: Path):
    one, two = pictures(2, seed=3)
    many = {f"{n}.png": png((one, two)[n % 2]) for n in range(12)}
    named = many | {f"{n}.json": json.dumps({"label": "ab"[n % 2]}).encode() for n in range(12)}
    write_tar(tmp_path / "named.tar", named)
    write_tar(tmp_path / "plain.tar", many | {"LICENSE": b"", "notes.txt": b"x"})
    found = WebDataset(str(tmp_path / "named.tar"), size=SIZE)
    assert found.classes == ("a", "b")
    plain = WebDataset(str(tmp_path / "plain.tar"), size=SIZE)
    assert plain.classes == ("images",)
    with pytest.warns(UserWarning, match="left out 1 of 13 files: 1 without a picture"):
        assert len(plain.load("train")) + len(plain.load("test")) == 12
    write_tar(tmp_path / "mixed.tar", many | {"3.cls": b"7"})
    with pytest.raises(DataError, match="expected a label for each picture.*Got NoneType, int"):
        WebDataset(str(tmp_path / "mixed.tar"))


def test_validation_tars_and_tars_of_other_splits(tmp_path: Path, train):
    for split in ("train", "val", "test", "extra"):
        write_tar(tmp_path / split / "0.tar", {f"{n}.png": png(one) for n, one in enumerate(train)})
    with pytest.warns(UserWarning, match="left out 1 files whose names say no split, 0.tar first"):
        data = WebDataset(str(tmp_path), size=SIZE)
    made = packed(data, tmp_path / "out")
    assert made.validation is not None
    assert len(made.validation) == len(made.load("train")) == 11


def test_what_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, train):
    whole = {f"{n}.png": png(one) for n, one in enumerate(train)}
    path = tmp_path / "set.tar"
    write_tar(path, whole | {"5.png": b"no picture"})
    with pytest.raises(
        ImageError, match=r"set.tar: 5: not a picture.*--data .*webdataset.*broken='skip'"
    ):
        WebDataset(str(path)).load("train")
    with pytest.warns(UserWarning, match="left out 1 pictures that cannot be read"):
        assert len(WebDataset(str(path), broken="skip").load("train")) < 11
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"set.tar: not a plain tar, or damaged .*Decompress it"):
        WebDataset(str(path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="expected files ending in .tar. Got none"):
        WebDataset(str(tmp_path / "empty"))
    with pytest.raises(DataError, match="there is no such folder or file"):
        WebDataset(str(tmp_path / "nowhere"))


# Parquet and Arrow -------------------------------------------------------------------------------


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path: Path):
    monkeypatch.setattr("vaescape.extras.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"Parquet.*pip install \"vaescape\[parquet\]\""):
        Parquet(str(tmp_path))


def table(some: list[np.ndarray], start: int = 0, **more: Any) -> Any:
    """Rows as `datasets` has them: an Image, and a ClassLabel whose names the schema tells."""
    pa = pytest.importorskip("pyarrow")
    names = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    images = [{"bytes": png(one), "path": f"{start + n}.png"} for n, one in enumerate(some)]
    columns = {"image": images, "label": [n % 2 for n in range(len(some))]} | more
    made = pa.table({key: value for key, value in columns.items() if value is not None})
    return made.replace_schema_metadata({"huggingface": json.dumps(names)})


def test_parquet_files_are_packed_over_their_row_groups(tmp_path: Path, train, test):
    parquet = pytest.importorskip("pyarrow.parquet")
    root = tmp_path / "set" / "data"
    root.mkdir(parents=True)
    parquet.write_table(table(train[:7]), root / "train-00000-of-2.parquet", row_group_size=3)
    parquet.write_table(table(train[7:], start=7), root / "train-00001-of-2.parquet")
    parquet.write_table(table(test), root / "test-00000-of-1.parquet")
    made = packed(opened(fitted(str(tmp_path / "set"), size=SIZE, grey=True)), tmp_path / "out")
    assert pixels(made, "train") == np.stack(train).tolist()
    assert pixels(made, "test") == np.stack(test).tolist()
    assert made.classes == ("cat", "dog")
    assert made.load("train").labels.tolist() == [n % 2 for n in (*range(7), *range(4))]
    assert made.ids("train", slice(6, 9)).tolist() == ["6.png", "7.png", "8.png"]


def test_plain_columns_are_named_by_the_user(tmp_path: Path, train):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {"picture": list(map(png, train)), "kind": ["x", "y"] * 5 + ["x"], "id": range(11)}
    parquet.write_table(pa.table(columns), tmp_path / "all.parquet")
    with pytest.raises(DataError, match="Got picture: binary, kind: string, id: int64. Name them"):
        Parquet(str(tmp_path / "all.parquet"))
    data = Parquet(str(tmp_path / "all.parquet"), size=SIZE, image="picture", label="kind")
    made = packed(data, tmp_path / "out")
    assert made.classes == ("x", "y")
    assert sorted([*made.ids("train", slice(0, 99)), *made.ids("test", slice(0, 99))], key=int) == [
        str(n) for n in range(11)
    ]
    (tmp_path / "all.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="all.parquet: damaged"):
        Parquet(str(tmp_path / "all.parquet"))


@pytest.mark.parametrize("divided", [True, False])
def test_what_datasets_saved_to_disk(tmp_path: Path, train, test, divided: bool):
    """Files are those that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` write."""
    pa = pytest.importorskip("pyarrow")
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(train[0]))
    for split, some in {"train": train, "test": test}.items() if divided else [("", train)]:
        rows = table(some)
        images = rows["image"].to_pylist()
        images[0] = {"bytes": None, "path": str(outside)}
        rows = rows.set_column(0, "image", pa.array(images))
        place = tmp_path / "saved" / split
        place.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows, max_chunksize=3)
        (place / "data-00000-of-00001.arrow").write_bytes(sink.getvalue())
        (place / "cache-1f.arrow").write_bytes(b"of another computation")
        (place / "dataset_info.json").write_text("{}")
    if divided:
        (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    made = packed(opened(fitted(str(tmp_path / "saved"), size=SIZE, grey=True)), tmp_path / "out")
    if divided:
        assert pixels(made, "train") == np.stack(train).tolist()
        assert pixels(made, "test")[1:] == np.stack(test)[1:].tolist()
    else:
        both = torch.cat([made.load("train").pixels, made.load("test").pixels])[:, 0]
        assert sorted(both.tolist()) == sorted(np.stack(train).tolist())
    assert made.classes == ("cat", "dog")


def test_a_dataset_of_hugging_face_is_packed_as_it_is(tmp_path: Path, train, test):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )

    def made(some: list[np.ndarray]) -> Any:
        rows = {"image": [Image.fromarray(one) for one in some], "label": [1, 0] * 20}
        rows["label"] = rows["label"][: len(some)]
        return datasets.Dataset.from_dict(rows, features=features)

    whole = datasets.DatasetDict({"train": made(train), "test": made(test)})
    whole.save_to_disk(str(tmp_path / "saved"))
    found = packed(opened(fitted(str(tmp_path / "saved"), size=SIZE, grey=True)), tmp_path / "out")
    assert pixels(found, "train") == np.stack(train).tolist()
    assert pixels(found, "test") == np.stack(test).tolist()
    assert found.classes == ("cat", "dog")
    assert found.load("test").labels.tolist() == [1, 0, 1, 0]

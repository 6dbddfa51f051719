import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vaescape.data.mnist_like import FILES, MnistLike


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(struct.pack(">I", n) for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


PIXELS = np.random.default_rng(5).integers(0, 256, (20, 5, 5))
CONTENT = {
    FILES[0]: idx(PIXELS[:12]),
    FILES[1]: idx(np.arange(12) % 3),
    FILES[2]: idx(PIXELS[12:]),
    FILES[3]: idx(np.arange(8) % 3),
}


class Tiny(MnistLike):
    """A set of MNIST's kind, small enough to break in every place; not registered."""

    name = "tiny"
    title = "Tiny"
    classes = ("a", "b", "c")
    counts = {"train": 12, "test": 8}  # noqa: RUF012
    size = 5
    sha256 = tuple(hashlib.sha256(content).hexdigest() for content in CONTENT.values())


@pytest.fixture
def tiny() -> type[MnistLike]:
    return Tiny


@pytest.fixture
def tiny_content() -> dict[str, bytes]:
    """The uncompressed content of its four files."""
    return dict(CONTENT)


@pytest.fixture
def write_tiny() -> Callable[[Path], Path]:
    """Write the four files into a folder, two of them compressed."""

    def write(folder: Path) -> Path:
        folder.mkdir(parents=True)
        for n, (file, content) in enumerate(CONTENT.items()):
            if n % 2:
                (folder / file).write_bytes(content)
            else:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content, mtime=0))
        return folder

    return write


@pytest.fixture
def tiny_folder(tmp_path: Path, write_tiny: Callable[[Path], Path]) -> Path:
    return write_tiny(tmp_path / "tiny-files")


@pytest.fixture
def save_pictures(tmp_path: Path) -> Callable[..., Path]:
    """Write count pictures into each class folder named, each of another tone."""
    from PIL import Image

    def save(*folders: str, count: int = 4, size: tuple[int, int] = (10, 10)) -> Path:
        root = tmp_path / "pictures"
        for folder in folders:
            (root / folder).mkdir(parents=True)
            for n in range(count):
                Image.new("L", size, 20 * n).save(root / folder / f"{n:03}.png")
        return root

    return save

"""From what a user writes to a data set: a component text, or simply the path of a set."""

from pathlib import Path

from vaescape.components import arguments, construct, find, known, nearest, parse, spell
from vaescape.data.base import Data
from vaescape.data.packed import MANIFEST
from vaescape.data.pictures import Pictures
from vaescape.data.places import other_file
from vaescape.errors import ComponentError, DataError, OptionError


def opened(text: str, *, data_dir: Path | None = None, base: Path | None = None) -> Data:
    """Return the data set that a text names.

    Args:
        text: A component text such as ``"npz(path='set.npz')"``, or the path of a folder of
            pictures, of a packed set, of a NumPy archive, of tars or of Parquet files.
        data_dir: Where its files are, if not where they are looked for.
        base: Where relative paths start; by default the current folder.

    Raises:
        ComponentError: If there is no such set.
        OptionError: If ``data_dir`` is given for a set that reads no files.
        DataError: If its files are missing or damaged, or the path is a file of another kind.
    """
    spec = _spec(text, data_dir, base)
    if "(" not in spec and ":" not in spec and spec not in known("data"):
        if Path(spec).expanduser().is_file():
            remedy = other_file(Path(spec)) or "Give the folder that it lies in."
            raise DataError(
                f"{spec}: expected a folder of pictures, a packed set or an .npz file. Got a file "
                f"of another kind. {remedy}"
            )
        raise ComponentError(
            f"There is no data set, no folder and no .npz file named {spec!r}."
            f"{nearest(spec, known('data'))} Data sets: {', '.join(known('data'))}."
        )
    member = find("data", parse(spec)[0])
    if data_dir is not None and "data_dir" not in arguments(member):
        raise OptionError(
            f"Data {parse(spec)[0]!r} reads no files, so --data-dir {data_dir} has no meaning for "
            "it. Leave it out."
        )
    return construct("data", spec, data_dir=data_dir, base=base, cache=None)


def fitted(text: str, *, size: int, grey: bool, data_dir: Path | None = None) -> str:
    """Return the text of a set of pictures with their size in it; any other text as it is.

    Args:
        text: As :func:`opened` takes it.
        size: Height and width, where the text says none.
        grey: One channel, likewise.
        data_dir: As :func:`opened` takes it.
    """
    spec = _spec(text, data_dir, None)
    name = spec.partition("(")[0]
    if name not in known("data") or not issubclass(find("data", name), Pictures):
        return text
    given = parse(spec)[1]
    return spell(name, given | {"size": size, "grey": grey} | given)


def _spec(text: str, data_dir: Path | None, base: Path | None) -> str:
    """Return a component text: that of the folder or archive whose path the text is, or itself."""
    if text in known("data") or "(" in text or ":" in text:
        return text
    path = Path(text).expanduser()
    places = [path] if data_dir is None else [data_dir / path, data_dir / path.name]
    places += [base / path] if base is not None else []
    if any((place / MANIFEST).is_file() for place in places):
        return spell("packed", {"path": text})
    for place in places:
        if place.is_dir():
            found = (k for k, marks in _MARKS.items() for one in marks if any(place.glob(one)))
            return spell(next(found, "folder"), {"path": text})
        if place.is_file() and path.suffix in _SUFFIXES:
            return spell(_SUFFIXES[path.suffix], {"path": text})
    return text


_SUFFIXES = {
    ".npz": "npz",
    ".tar": "webdataset",
    ".parquet": "parquet",
    ".arrow": "parquet",
}
_MARKS = {
    "webdataset": ("*.tar",),
    "parquet": ("*.parquet", "data/*.parquet", "dataset_dict.json", "dataset_info.json"),
}
"""What tells that a folder is no folder of pictures."""

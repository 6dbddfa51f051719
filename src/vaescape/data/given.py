"""Images in hand as a data set: arrays, pictures, datasets of other packages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from vaescape.data.arrays import LAYOUTS, Arrays, Member, member, of_keys
from vaescape.data.base import Data, Split
from vaescape.data.opening import opened
from vaescape.data.picture import behind, over
from vaescape.data.pictures import IMAGE_KEYS, LABEL_KEYS
from vaescape.data.values import note
from vaescape.errors import DataError

_MEANT = (
    "Expected images as an array (N, H, W), (N, H, W, C) or (N, C, H, W), a pair (images, labels), "
    "a list of pictures, a dataset, or a path."
)


def as_data(given: Any) -> Data:
    """Return images in hand as a data set.

    Args:
        given: A data set, its component text or path; an array (N, H, W), (N, H, W, C) or
            (N, C, H, W); a pair (images, labels); a dictionary of arrays under the names that an
            npz file has; a list of PIL images of one size; a dataset of torchvision or of Hugging
            Face, or a dictionary or a pair (train, test) of those.

    Raises:
        DataError: If it is none of these, or its images do not fit together.
    """
    if isinstance(given, Data):
        return given
    if isinstance(given, str | Path):
        return opened(str(given))
    if isinstance(given, Mapping) and not _is_dataset(given):
        return _of_mapping(given)
    if _is_dataset(given):
        images, labels, names = _items(given)
        return _of_splits({"train": images}, {} if labels is None else {"train": labels}, names)
    if isinstance(given, tuple) and len(given) == 2 and all(map(_is_dataset, given)):
        return _of_mapping(dict(zip(("train", "test"), given, strict=True)))
    if isinstance(given, tuple) and len(given) == 2:
        images, labels = given
        return _of_splits({"train": _array(images)}, {"train": _array(labels)})
    return _of_splits({"train": _array(given)}, {})


def _of_mapping(given: Mapping[str, Any]) -> Data:
    """Return a set of arrays by the names of an npz file, or of datasets by the names of splits."""
    layout = of_keys(given)
    if layout is None:
        raise DataError(
            f"Expected the keys {LAYOUTS}, with labels or without. "
            f"Got {', '.join(map(str, given)) or 'none'}."
        )
    images, labels, names = {}, {}, None
    for split, (x, y) in layout.items():
        if _is_dataset(given[x]):
            images[split], mine, names = _items(given[x])
        else:
            images[split], mine = _array(given[x]), None if y is None else _array(given[y])
        labels |= {} if mine is None else {split: mine}
    return _of_splits(images, labels, names)


def _of_splits(
    images: Mapping[Split, np.ndarray],
    labels: Mapping[Split, np.ndarray],
    names: Sequence[str] | None = None,
) -> Data:
    members: dict[Split, Member] = {
        split: member(f"images ({split})", each) for split, each in images.items()
    }
    made = Arrays("arrays", members, labels, names=names)
    made.spec = "arrays"
    return made


def _array(values: Any) -> Shaped[np.ndarray, "..."]:
    """Return anything like an array, or a list of pictures, as an array."""
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    several = isinstance(values, Sequence) and not isinstance(values, str) and len(values)
    if several and (hasattr(values[0], "convert") or isinstance(values[0], Tensor)):
        return _stacked(values)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{_MEANT} Got {type(values).__name__} ({error}).") from error
    if array.dtype == object or array.ndim == 0:
        raise DataError(f"{_MEANT} Got {type(values).__name__}.")
    return array


def _stacked(items: Sequence[Any]) -> Shaped[np.ndarray, "..."]:
    """Return pictures or arrays as one array; what is transparent has one backdrop for all."""
    inks = [over(one.convert("RGBA"), None)[1] for one in items if _is_clear(one)]
    if (backdrop := behind(inks)) == 0:
        note("images: what is transparent becomes black, for the ink is white.")
    arrays = [_of_item(one, backdrop) for one in items]
    shapes = sorted({one.shape for one in arrays})
    if len(shapes) > 1:
        raise DataError(
            f"Expected pictures of one size and kind. Got {', '.join(map(str, shapes[:4]))}. "
            "Resize them first, or save them in a folder and give data='folder(path=…)'."
        )
    return np.stack(arrays)


def _is_dataset(given: Any) -> bool:
    """Return whether this is a dataset: it has a length and items, and is no plain container."""
    plain = (np.ndarray, Tensor, list, tuple, dict, str, bytes)
    return (
        not isinstance(given, plain)
        and hasattr(given, "__getitem__")
        and hasattr(given, "__len__")
        and not (isinstance(given, Mapping) and any(map(_is_dataset, given.values())))
    )


def _items(
    dataset: Any,
) -> tuple[np.ndarray, np.ndarray | None, Sequence[str] | None]:
    """Return the images, the labels and the classes' names of a dataset."""
    if not len(dataset):
        raise DataError("Expected a dataset with images. Got an empty one.")
    first = dataset[0]
    image, label = _keys(first)
    rows = [dataset[n] for n in range(len(dataset))]
    images = _stacked([row[image] if image is not None else row for row in rows])
    if label is None:
        return images, None, None
    found = [row[label] for row in rows]
    labels = _array([one.item() if isinstance(one, Tensor | np.generic) else one for one in found])
    names = getattr(dataset, "classes", None)
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):
        names = getattr(features.get(label), "names", None)
    return images, labels, None if names is None else [str(name) for name in names]


def _keys(row: Any) -> tuple[Any, Any]:
    """Return under which keys a dataset's row has its image and its label."""
    if isinstance(row, Mapping):
        images = [key for key in IMAGE_KEYS if key in row]
        labels = [key for key in LABEL_KEYS if key in row]
        if not images:
            raise DataError(
                "Expected a dataset whose rows have an image under 'image' or 'img'. "
                f"Got {', '.join(map(str, row))}."
            )
        return images[0], labels[0] if labels else None
    if isinstance(row, tuple | list):
        return 0, 1 if len(row) > 1 else None
    return None, None


def _is_clear(image: Any) -> bool:
    """Return whether this is a PIL image of which something may be transparent."""
    return hasattr(image, "convert") and image.has_transparency_data and not _is_deep(image)


def _is_deep(image: Any) -> bool:
    return image.mode.startswith(("I", "F"))


def _of_item(image: Any, backdrop: int) -> np.ndarray:
    if not hasattr(image, "convert"):
        return image.detach().cpu().numpy() if isinstance(image, Tensor) else np.asarray(image)
    if _is_deep(image):
        return np.asarray(image)
    plain = over(image.convert("RGBA"), backdrop)[0] if _is_clear(image) else image
    return np.asarray(plain.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))

"""The images that travel with the page."""

import torch

from vaescape.errors import OptionError
from vaescape.explore import atlas
from vaescape.explore.view import Section, View


def originals(view: View) -> Section:
    """Return no images, the test images, or all.

    Raises:
        OptionError: If ``originals`` is another.
    """
    which = view.originals
    if which not in ("none", "test", "all"):
        raise OptionError(f"Originals must be none, test or all. Got {which!r}.")
    if which == "none":
        return {"originals": None}, {}
    whole = which == "all"
    pixels = torch.cat([view.train.pixels, view.test.pixels]) if whole else view.test.pixels
    blob, count, columns = atlas.originals(pixels)
    first = 0 if whole else len(view.train)
    return {"originals": {"first": first, "count": count, "columns": columns}}, {"originals": blob}

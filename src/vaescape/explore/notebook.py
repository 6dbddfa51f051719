"""The explorer as the last value of a notebook's cell."""

import html
from pathlib import Path

from vaescape.explore.page import render
from vaescape.explore.view import Originals, Projection
from vaescape.files import write_atomic
from vaescape.study import Study


class Explorer:
    """A study's page: a notebook shows it, and ``save`` writes it.

    It needs no kernel once it is shown, and survives the notebook's export.

    Args:
        study: Trained.
        title: Of the page.
        originals: Which images travel with it: "none", "test" or "all".
        projection: Of more than two dimensions: "pca", or "umap" as well.
        height: In a notebook, CSS pixels.
    """

    def __init__(
        self,
        study: Study,
        *,
        title: str | None = None,
        originals: Originals = "test",
        projection: Projection = "pca",
        height: int = 720,
    ) -> None:
        self.page = render(study, title=title, originals=originals, projection=projection)
        self.height = height

    def save(self, path: str | Path) -> Path:
        """Write the page as one file."""
        return write_atomic(Path(path), self.page)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" width="100%" height="{self.height}" '
            'style="border:0" title="vaescape: the latent space"></iframe>'
        )

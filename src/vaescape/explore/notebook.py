"""The explorer as the last value of a notebook's cell."""

import html
from pathlib import Path
from typing import Any

from vaescape.explore.page import render
from vaescape.files import write_atomic
from vaescape.study import Study


class Explorer:
    """A study's page: a notebook shows it, and ``save`` writes it.

    It needs no kernel once it is shown, and survives the notebook's export.

    Args:
        study: Trained.
        height: In a notebook, CSS pixels.
        options: As :class:`vaescape.explore.view.View` takes them: title, originals, projection.
    """

    def __init__(self, study: Study, *, height: int = 720, **options: Any) -> None:
        self.page, self.height = render(study, **options), height

    def save(self, path: str | Path) -> Path:
        """Write the page as one file."""
        return write_atomic(Path(path), self.page)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" width="100%" height="{self.height}" '
            'style="border:0" title="vaescape: the latent space"></iframe>'
        )

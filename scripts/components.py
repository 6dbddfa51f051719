"""Make the pages of all components: docs/components/*.md, from their docstrings."""

from pathlib import Path

from vaescape.catalogue import KINDS, page

PAGES = Path(__file__).parents[1] / "docs" / "components"

if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for kind, name in KINDS.items():
        (PAGES / f"{name}.md").write_text(page(kind))

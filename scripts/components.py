"""Make the pages of all components: docs/components/*.md, from their docstrings."""

from pathlib import Path

from vaescape.catalogue import KINDS, Argument, Entry, entry
from vaescape.components import known

PAGES = Path(__file__).parents[1] / "docs" / "components"


def page(kind: str) -> str:
    """Return the page of a set: every member with its words, arguments and example, Markdown."""
    title = KINDS[kind].capitalize()
    head = (
        f"# {title}\n\nMade by `python scripts/components.py` from the docstrings; "
        f"`vaescape list {kind} NAME` prints the same. [How to add one](../adding.md).\n"
    )
    return "\n".join([head, *(section(entry(kind, name)) for name in known(kind))])


def section(e: Entry) -> str:
    """Return the part of a page on one component."""
    source = e.module.replace(".", "/")
    parts = [
        f"## {e.name}",
        markdown(f"{e.summary}\n\n{e.details}".strip()),
        table(e.arguments),
        f"```sh\n{e.command}\n```",
        f"[{source}.py](../../src/{source}.py)",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def table(rows: tuple[Argument, ...]) -> str:
    """Return arguments as a table; nothing without any."""
    if not rows:
        return ""
    lines = ["| argument | default | |", "| --- | --- | --- |"]
    for row in rows:
        default = "" if row.required else f"`{row.default!r}`"
        meaning = markdown(row.meaning).replace("|", "\\|")
        lines.append(f"| `{row.name}` | {default} | {meaning} |")
    return "\n".join(lines)


def markdown(words: str) -> str:
    """Return the words of a docstring as Markdown."""
    return words.replace("``", "`").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for kind, name in KINDS.items():
        (PAGES / f"{name}.md").write_text(page(kind))

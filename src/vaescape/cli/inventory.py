"""What `vaescape list` shows, read from the sources without loading PyTorch.

A list shows the first line of each component's docstring and the arguments of its constructor.
Both are read from the text of the package's files; what only Python can know (one component
whole, a class of one's own) is imported.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import vaescape
from vaescape.components import nearest
from vaescape.errors import OptionError
from vaescape.recipes import RECIPES, summary

HOMES = {
    "data": "data",
    "model": "models",
    "network": "nets",
    "posterior": "posteriors",
    "likelihood": "likelihoods",
    "prior": "priors",
    "objective": "objectives",
    "optimiser": "train.optimisers",
    "schedule": "train.rates",
    "reproduction": "reproduce",
    "figure": "figures",
}
"""Where in the package the members of each kind are."""

PACKAGE = Path(vaescape.__file__).parent

HIDDEN = {"data_dir", "cache"}
"""Arguments that are not the user's to choose, beside those "filled in from the run"."""


class _Class(NamedTuple):
    """A class as its source describes it."""

    named: str | None
    bases: list[str]
    doc: str
    takes: dict[str, Any] | None
    """Arguments of its own constructor with their defaults; None if it has none of its own."""


def inventory(kind: str | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by kind and name, what each component is and which arguments it takes.

    Raises:
        OptionError: If there is no such kind, with the nearest.
    """
    kinds = ["recipe", *HOMES]
    if kind is not None and kind not in kinds:
        raise OptionError(
            f"There is no kind {kind!r}.{nearest(kind, kinds)} Known: {', '.join(kinds)}."
        )
    return {each: _members(each) for each in ([kind] if kind else kinds)}


def _members(kind: str) -> dict[str, dict[str, Any]]:
    if kind == "recipe":
        return {name: {"is": summary(name), "takes": {}} for name in RECIPES}
    classes = _classes(HOMES[kind])
    named = {c.named: c for c in classes.values() if c.named is not None}
    return {
        name: {
            "is": _doc(named[name], classes).partition("\n")[0],
            "takes": _takes(named[name], classes),
        }
        for name in sorted(named)
    }


@cache
def _classes(home: str) -> dict[str, _Class]:
    """Return the classes of a module or of a package's modules, by their names in Python."""
    return {name: found for path in _files(home) for name, found in _read(path)}


def _files(home: str) -> list[Path]:
    path = PACKAGE.joinpath(*home.split("."))
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _read(path: Path) -> Iterator[tuple[str, _Class]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = dict(_constants(tree))
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            keywords = {word.arg: word.value for word in node.keywords}
            named = _value(keywords["name"], {}) if "name" in keywords else None
            bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
            doc = ast.get_docstring(node) or ""
            takes = None
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    takes = dict(_arguments(part.args, constants))
            yield node.name, _Class(named, bases, doc, takes)


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Yield the constants of a module, those too that it imports from others of the package."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vaescape."):
            names = {name.name for name in node.names if name.name.isupper()}
            path = PACKAGE.joinpath(*str(node.module).split(".")[1:])
            if names and (source := path.with_suffix(".py")).exists():
                other = ast.parse(source.read_text(encoding="utf-8"))
                yield from ((key, value) for key, value in _constants(other) if key in names)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _value(node.value, {})
            if value is not None:
                yield node.targets[0].id, value


def _arguments(given: ast.arguments, constants: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the names and defaults of a constructor's arguments; None where there is no default."""
    named = [*given.posonlyargs, *given.args][1:]
    defaults = [None] * (len(named) - len(given.defaults)) + given.defaults
    for argument, default in [
        *zip(named, defaults, strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]:
        yield argument.arg, None if default is None else _value(default, constants)
    if given.kwarg is not None:
        yield given.kwarg.arg, None


def _value(node: ast.expr, constants: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _doc(found: _Class, classes: dict[str, _Class]) -> str:
    return next((c.doc for c in _line(found, classes) if c.doc), "")


def _takes(found: _Class, classes: dict[str, _Class]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for c in _line(found, classes):
        if c.takes is not None:
            own = c.takes | own
            if own.pop("usual", ...) is ...:  # of the class above it, too
                break
    filled = re.findall(
        r"^ {4}(\w+): [^:]*filled in from the run", _doc(found, classes), re.MULTILINE
    )
    return {name: default for name, default in own.items() if name not in {*HIDDEN, *filled}}


def _line(found: _Class, classes: dict[str, _Class]) -> Iterator[_Class]:
    """Yield a class and those above it in the same package."""
    yield found
    for base in found.bases:
        if base in classes:
            yield from _line(classes[base], classes)


def whole(kind: str, name: str) -> dict[str, Any]:
    """Return all that a component says of itself, and the command that trains a model with it.

    Raises:
        OptionError: If there is no such kind, or none of that name, with the nearest.
    """
    rows = inventory(kind)[kind]
    if name not in rows and ":" not in name:
        raise OptionError(
            f"There is no {kind} {name!r}.{nearest(name, rows)} Known: {', '.join(rows)}."
        )
    if kind == "recipe":
        return {"is": rows[name]["is"], "details": inspect.getdoc(RECIPES[name]), "takes": {}}
    import_module(f"vaescape.{HOMES[kind]}")  # registers its members
    from vaescape.catalogue import entry

    found = entry(kind, name)
    return {
        "is": found.summary,
        "details": found.details,
        "takes": {a.name: {"default": None if a.required else a.default, "is": a.meaning}
                  for a in found.arguments},
        "example": found.command,
    }  # fmt: skip

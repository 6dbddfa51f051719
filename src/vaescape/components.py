"""Components: a name plus keyword arguments, such as ``vamp(components=500)``.

The same text is the value on the command line, the record in a run folder and the key of the
conformance tests. A class registers by naming itself, ``class VampPrior(Prior, name="vamp")``; its
own constructor signature is its configuration.
"""

import ast
import difflib
import importlib
import inspect
import pkgutil
import re
import reprlib
import types
import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, Self

from vaescape.errors import ComponentError
from vaescape.facts import FACTS, Facts

_registry: dict[str, dict[str, type["Component"]]] = {}
_SPEC = re.compile(r"\s*([A-Za-z0-9_.:-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


LONGEST = 10_000
"""Letters of a component text, at most."""

LARGEST, DEEPEST = 10_000_000, 1_000
"""What a whole number in a component text may be at most: a size, and a number of layers."""

DEPTHS = ("layers", "blocks", "transforms", "levels", "steps", "stages")
"""Arguments of these names count what is built one after the other."""


class Component:
    """Something a user can name. Subclasses set ``kind``; members give ``name=``."""

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    variants: ClassVar[tuple[str, ...]] = ()
    """Texts of it with other arguments that the laws try, too."""
    spec: str = ""
    couples_batch: bool = False
    """Whether a training loss with it is no mean over images: a batch then has no shards."""
    _made_with: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """Remember what an instance was made with: it is recorded as a text."""
        made = super().__new__(cls)
        object.__setattr__(made, "_made_with", (positional, named))  # nn.Module is not set up yet
        return made

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        """Register the class under its kind and name."""
        super().__init_subclass__(**kwargs)
        if name is None:
            return
        members = _registry.setdefault(cls.kind, {})
        other = members.get(name)
        if other is not None and (other.__module__, other.__qualname__) != (
            cls.__module__,
            cls.__qualname__,
        ):
            raise ComponentError(
                f"The {cls.kind} name {name!r} is taken by "
                f"{other.__module__}.{other.__qualname__}. Choose another name."
            )
        cls.name = name
        members[name] = cls

    def check(self, pieces: Any) -> None:
        """Refuse to be combined with the other pieces of a model; by default, all are accepted.

        Args:
            pieces: The assembled model and what it is made of: ``models.base.Pieces``.

        Raises:
            ComponentError: With the reason, and what to use instead.
        """


def known(kind: str) -> dict[str, type[Component]]:
    """Return the registered components of a kind, by name, in alphabetical order."""
    return dict(sorted(_registry.get(kind, {}).items()))


def texts(kind: str) -> list[str]:
    """Return every registered component of a kind, and its variants, as texts."""
    return [text for name, cls in known(kind).items() for text in (name, *cls.variants)]


def import_members(package: str, path: Iterable[str]) -> None:
    """Import every module of an open set, so that its members register."""
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the keyword arguments of a component text.

    Raises:
        ComponentError: If the text is not ``name`` or ``name(key=value, …)`` with plain Python
            values.
    """
    wrong = ComponentError(
        f"Expected a component such as 'name' or 'name(key=value)', with numbers, quoted texts, "
        f"True, False, None or lists as values. Got {reprlib.repr(spec)}."
    )
    match = _SPEC.fullmatch(spec) if len(spec) <= LONGEST else None
    if match is None:
        raise wrong
    name, arguments = match.groups()
    if not (arguments or "").strip():
        return name, {}
    try:
        call = ast.parse(f"f({arguments})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise wrong
        values = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise wrong from error
    if "None" in values or len(values) != len(call.keywords):
        raise wrong
    return name, values


def spell(name: str, arguments: dict[str, Any]) -> str:
    """Return the canonical text of a component: the inverse of :func:`parse`."""
    inside = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return f"{name}({inside})" if inside else name


RENAMED: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("objective", "miwae"): ("iwae", {"samples": 10, "groups": 5}),
    ("objective", "ciwae"): ("iwae", {"beta": 0.5}),
    ("objective", "piwae"): ("iwae", {"samples": 10, "groups": 5, "estimator": "piwae"}),
    ("objective", "iwae-stl"): ("iwae", {"estimator": "stl"}),
    ("objective", "iwae-dreg"): ("iwae", {"estimator": "dreg"}),
    ("objective", "dip-i"): ("dip", {"kind": "i"}),
    ("objective", "dip-ii"): ("dip", {"kind": "ii"}),
    ("likelihood", "gaussian-learned"): ("gaussian", {"scale": "learned"}),
    ("likelihood", "laplace-learned"): ("laplace", {"learned": True}),
    ("likelihood", "gaussian-pixel"): ("gaussian", {"scale": "pixel"}),
    ("likelihood", "gaussian-optimal"): ("gaussian", {"scale": "optimal"}),
    ("posterior", "lattice"): ("bayes", {}),
}
"""Names that earlier versions recorded: what they are called now, with which arguments."""

RENAMED_ARGUMENTS = {
    ("posterior", "lattice"): {
        "cells": "points",
        "train_cells": "training_points",
        "renew": "refresh_interval",
    }
}
"""Their arguments, where these are called otherwise now."""


def _today(kind: str, text: str) -> str:
    """Return a component text under the name that it has now."""
    match = _SPEC.fullmatch(text)
    if match is None or (kind, match[1]) not in RENAMED:
        return text
    name, always = RENAMED[kind, match[1]]
    today = RENAMED_ARGUMENTS.get((kind, match[1]), {})
    return spell(name, always | {today.get(key, key): v for key, v in parse(text)[1].items()})


def text_of(kind: str, component: Any) -> str:
    """Return the text of a component that is given as a text, as a class or as an instance.

    A name of an earlier version is replaced by the one of today.

    The run makes its own instance from this text: of one that is given, only what it was made with
    counts. What the run knows (``latent_dim``, …) is left out.

    Raises:
        ComponentError: For anything that is no component of that kind, or that no text can name.
    """
    if isinstance(component, str):
        return _today(kind, component)
    cls = component if isinstance(component, type) else type(component)
    if not (issubclass(cls, Component) and cls.kind == kind):
        raise ComponentError(
            f"Expected a {kind}: a text such as 'name(key=value)', or a class or an instance of "
            f"one. Got {component!r}. docs/adding.md shows how to write a {kind} of your own."
        )
    if cls is component:
        return _name_of(cls)
    if component.spec:
        return component.spec
    positional, named = component._made_with
    given = dict(zip(arguments(cls), positional, strict=False)) | named
    chosen = {key: given[key] for key in arguments(cls) if key in given and key not in FACTS}
    text = spell(_name_of(cls), chosen)
    with suppress(ComponentError):
        if parse(text)[1] == chosen:
            return text
    raise ComponentError(
        f"The {kind} {cls.__qualname__} was made with arguments that no text can record: {chosen}. "
        "Give it numbers, texts, True, False, None or lists."
    )


def _name_of(cls: type[Component]) -> str:
    if known(cls.kind).get(cls.name) is cls:
        return cls.name
    if "." in cls.__qualname__:
        raise ComponentError(
            f"The {cls.kind} {cls.__qualname__} is defined inside something else, so a run could "
            "not find it again. Define the class at the top level of a module."
        )
    return f"{cls.__module__}:{cls.__qualname__}"


def find(kind: str, name: str) -> type[Component]:
    """Return the class of that kind and name; a dotted ``module:Class`` is imported.

    Raises:
        ComponentError: If there is none, with the nearest name.
    """
    if ":" in name:
        return _imported(kind, name)
    members = known(kind)
    if (kind, name) in RENAMED:
        raise ComponentError(f"The {kind} {name!r} is now {spell(*RENAMED[kind, name])}.")
    if name not in members:
        raise ComponentError(
            f"There is no {kind} named {name!r}.{nearest(name, members)} "
            f"Known: {', '.join(members)}."
        )
    return members[name]


def nearest(name: str, names: Iterable[str]) -> str:
    """Return " Did you mean …?" for a misspelt name, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def _imported(kind: str, name: str) -> type[Component]:
    module, _, attribute = name.partition(":")
    try:
        member = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the module is somebody's own: whatever it raises
        raise ComponentError(
            f"The {kind} {name!r} could not be imported: {error}. Is the folder of {module}.py on "
            "PYTHONPATH? `PYTHONPATH=. vaescape …` adds this one."
        ) from error
    named_by_the_user.add(name)
    if not (isinstance(member, type) and issubclass(member, Component) and member.kind == kind):
        raise ComponentError(f"Expected a {kind} class at {name!r}. Got {member!r}.")
    return member


named_by_the_user = set[str]()
"""Every ``module:Class`` that was imported in this process, because somebody named it here."""


def construct(kind: str, spec: Any, facts: Facts | None = None, **known: Any) -> Any:
    """Return the component that a text names, built from the user's choices and the run's facts.

    ``construct("prior", "vamp(components=500)", facts)``: the text gives what the user chose;
    a constructor receives the facts that are parameters of its signature.

    Args:
        kind: Such as "prior".
        spec: A component text, a class or an instance.
        facts: What the run knows.
        known: Single facts, in place of the record.

    Raises:
        ComponentError: For an unknown name (with the nearest), an unknown argument, a value of the
            wrong type, a missing argument, or a value that the constructor refuses.
    """
    name, chosen = parse(text_of(kind, spec))
    cls = find(kind, name)
    parameters = arguments(cls)
    ours = known.keys() if facts is None else known.keys() | FACTS
    own = [key for key in parameters if key not in ours]
    for key, value in chosen.items():
        if key in ours:
            raise ComponentError(f"{kind} {name!r}: {key} is set by the run itself. Leave it out.")
        if key not in parameters:
            accepted = ", ".join(own) or "none"
            raise ComponentError(
                f"{kind} {name!r} has no argument {key!r}.{nearest(key, own)} It takes: {accepted}."
            )
        _check_type(f"{kind} {name!r}: {key}", value, parameters[key].annotation)
        _check_size(f"{kind} {name!r}: {key}", value, DEEPEST if key in DEPTHS else LARGEST)
    given = chosen | {
        key: known[key] if key in known else getattr(facts, key)
        for key in parameters
        if key in ours
    }
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise ComponentError(f"{kind} {name!r} needs the argument {key!r}: {name}({key}=…).")
    try:
        component = cls(**given)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ComponentError) or not chosen:
            raise
        raise ComponentError(f"{kind} {spell(name, chosen)} cannot be made: {error}.") from error
    component.__dict__.pop("_made_with")  # the images of the run among them
    component.spec = spell(name, chosen)
    return component


@cache
def arguments(cls: type[Component]) -> Mapping[str, inspect.Parameter]:
    """Return the named constructor parameters of a component.

    ``**usual`` in a constructor stands for those of the class above it.
    """
    any_number = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            own = inspect.signature(base).parameters
            found = {k: v for k, v in own.items() if v.kind not in any_number} | found
            if "usual" not in own:
                break
    return MappingProxyType(found)


def _check_type(where: str, value: Any, annotation: Any) -> None:
    options = (
        typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    )
    plain = all(option in (int, float, bool, str, types.NoneType) for option in options)
    if plain and type(value) not in options and not (float in options and type(value) is int):
        words = " or ".join(option.__name__ for option in options)
        raise ComponentError(f"{where} must be {words}. Got {value!r}.")


def _check_size(where: str, value: Any, most: int) -> None:
    """Refuse whole numbers that would take all memory, in lists too, before anything is built."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, int) and abs(item) > most and not where.endswith("seed"):
            raise ComponentError(f"{where} must be at most {most:,}. Got {reprlib.repr(item)}.")

"""What the JSON of a run must look like: a schema for each file, and the check where it is read.

A schema is a type (``float`` takes whole numbers too), a tuple of the values that are possible,
``[schema]`` for a list of any length, ``{name: schema}`` for an object (``"name?"``: may be
missing; others are allowed), ``{...: schema}`` for one of any names, a dataclass, or ``Either(…)``.
``Any`` takes all.
"""

import json
import re
import reprlib
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, get_args

_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    dict: "an object",
    list: "a list",
}
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class Either(tuple[Any, ...]):
    """Values of any of these schemas."""

    def __new__(cls, *schemas: Any) -> "Either":  # noqa: D102
        return super().__new__(cls, schemas)


class Wrong(NamedTuple):
    """Where a value is not what it must be."""

    key: str
    expected: str
    got: object

    def __str__(self) -> str:
        key = repr(self.key) if self.key else "it"
        return f"{key} must be {self.expected}, got {reprlib.repr(self.got)}"


_MISSING = type("nothing", (), {"__repr__": lambda self: "nothing"})()
_DIGEST = Either(str, [str])
_MEASURED = Either(float, None, [Either(float, None)])
_MEASURES = {...: _MEASURED}

RUN = {
    "status": ("training", "diverged", "finished"),
    "configuration": dict,
    "provenance": {
        "date?": str,
        "command?": str,
        "versions?": {...: str},
        "machine?": {...: Either(str, float, None)},
        "git?": Either({"commit?": str, "dirty?": bool}, None),
    },
    "shape?": Either([int], None),
    "images?": int,
    "classes?": [str],
    "title?": str,
    "measure?": ("quick", "full"),
    "launch?": str,
    "stages?": {...: Either(float, None)},
    "priors?": {...: {"spec": str, "sha256?": str}},
    "weights_sha256?": _DIGEST,
    "objective_sha256?": _DIGEST,
    "latents_sha256?": _DIGEST,
    "errors_sha256?": _DIGEST,
    "metrics_sha256?": _DIGEST,
    "data_sha256?": str,
}
ROW = {
    "step": int,
    "epoch?": float,
    "seconds?": float,
    "train?": _MEASURES,
    "held_out?": _MEASURES,
    "held_out_split?": str,
}
_NUMBER = Either(float, None)
_POOL = {"smallest": _NUMBER, "largest": float}
_BOUND = {"images": int, "nats": _NUMBER, "pool?": Either(float, _POOL)}
_SAME = {"images": int, "nats": _NUMBER, "effective_samples": _NUMBER}
METRICS = {
    "test": {
        "images": int,
        "kl_per_dimension?": Either(list, None),
        "importance_weighted_bound?": {...: _BOUND},
        "annealed_importance_sampling?": Either(
            _SAME
            | {"chains": int, "temperatures": int}
            | {"importance_weighted_bound": _SAME | {"samples": int}},
            None,
        ),
        **dict.fromkeys(("mse?", "mean_image_mse?", "negative_elbo?", "kl?"), _NUMBER),
        "code_use?": {"active_codes": float, "codes": float},
        "active_units?": {"by_variance?": Either(int, None)},
        "aggregate_posterior?": {"hole_fraction?": _NUMBER},
    },
    "train?": {"negative_elbo?": _NUMBER},
    "units?": {...: str},
    "quantities?": {
        ...: {
            "title?": str,
            "unit?": str,
            "better?": ("lower", "higher", None),
            "headline?": bool,
        }
    },
    "captures?": {...: {"by_k?": {...: dict}, "estimate?": _NUMBER, "chance?": _NUMBER, "k?": int}},
    "class_agreement?": {"estimate": _NUMBER},
    "samples?": {"sets?": {...: {...: _NUMBER}}, "settings?": dict, "definitions?": {...: str}},
    "smoothness?": {
        "definitions?": {...: str},
        "paths?": {...: {...: {...: {"estimate": _NUMBER, "low?": _NUMBER, "high?": _NUMBER}}}},
    },
    "remarks?": [str],
    "left_out?": {...: str},
    "reconstruction_term?": str,
    "training?": {"seconds": _NUMBER, "epochs?": _NUMBER, "steps?": _NUMBER},
}
REGIONS = {
    "regions?": [
        {
            "name": str,
            "map": str,
            "strokes": [{"outline": [[float]], "operation": ("replace", "add", "subtract")}],
        }
    ]
}
CHECKPOINT = {
    "format": int,
    "reader": str,
    "step": int,
    "seconds": float,
    "config": dict,
    "fingerprint": dict,
}


def parsed(content: bytes, schema: Any = dict) -> Any:
    """Return the value of a JSON text that fits a schema.

    Raises:
        ValueError: If it is not JSON, holds what JSON has not (NaN, infinity, half a character) or
            does not fit.
    """
    try:
        value = json.loads(content.decode(), parse_constant=_no_constant, parse_float=_number)
        if _HALF.search(content):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep (recursion)") from error
    found = wrong(value, schema)
    if found:
        raise ValueError(str(found))
    return value


def wrong(value: object, schema: Any, key: str = "") -> Wrong | None:
    """Return the first place where a value does not fit a schema."""
    if schema is Any or (schema is None and value is None):
        return None
    if isinstance(schema, Either):
        return _wrong_of_any(value, schema, key)
    if isinstance(schema, tuple):
        fits = any(value == v and type(value) is type(v) for v in schema)
        return None if fits else Wrong(key, f"one of {', '.join(map(str, schema))}", value)
    if isinstance(schema, types.UnionType):
        return _wrong_of_any(value, Either(*get_args(schema)), key)
    if is_dataclass(schema):
        return wrong(value, {f"{field.name}?": field.type for field in fields(schema)}, key)
    if isinstance(schema, list):
        if not isinstance(value, list):
            return Wrong(key, _KINDS[list], value)
        return _first(wrong(inner, schema[0], f"{key}[{i}]") for i, inner in enumerate(value))
    if isinstance(schema, dict):
        return _wrong_object(value, schema, key)
    kind = type(None) if schema is None else schema
    right = type(value) in (int, float) if kind is float else type(value) is kind
    return None if right else Wrong(key, _KINDS.get(kind, str(kind)), value)


def _wrong_object(value: object, schema: dict[Any, Any], key: str) -> Wrong | None:
    if not isinstance(value, Mapping):
        return Wrong(key, _KINDS[dict], value)
    inside = f"{key}." if key else ""
    if ... in schema:
        return _first(wrong(inner, schema[...], f"{inside}{name}") for name, inner in value.items())
    for name, inner in schema.items():
        bare = name.removesuffix("?")
        if bare in value:
            if found := wrong(value[bare], inner, f"{inside}{bare}"):
                return found
        elif bare == name:
            return wrong(_MISSING, inner, f"{inside}{bare}")
    return None


def _wrong_of_any(value: object, schemas: Either, key: str) -> Wrong | None:
    found = [wrong(value, schema, key) for schema in schemas]
    if None in found:
        return None
    deepest = max((w for w in found if w), key=lambda w: len(w.key))
    if deepest.key != key:
        return deepest
    return Wrong(key, " or ".join(dict.fromkeys(w.expected for w in found if w)), value)


def _first(found: Any) -> Wrong | None:
    return next((one for one in found if one), None)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large for a number")
    return value

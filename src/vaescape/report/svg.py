"""SVG drawings made safe for a page: what is not a drawing's is left out.

The figures of somebody else's run are data. Only the elements and attributes that matplotlib draws
with are kept, and references only if they stay in the drawing or carry a picture. Written anew from
the tree, so that no browser reads it otherwise than it was read here.
"""

import re
from xml.etree import ElementTree

from vaescape.errors import RunError

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ELEMENTS = """
    svg g defs path rect circle ellipse line polyline polygon use image text tspan clipPath mask
    linearGradient radialGradient stop pattern
"""
ATTRIBUTES = """
    id class d x y x1 x2 y1 y2 cx cy r rx ry fx fy width height viewBox version transform points
    style fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linecap
    stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit opacity clip-path clip-rule
    clipPathUnits gradientUnits gradientTransform offset stop-color stop-opacity patternUnits
    patternTransform preserveAspectRatio image-rendering font-family font-size font-weight
    font-style text-anchor dominant-baseline mask maskUnits
"""
_ELEMENTS = {f"{{{SVG}}}{name}" for name in ELEMENTS.split()}
_ATTRIBUTES = set(ATTRIBUTES.split())
_PICTURE = re.compile(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=\s]*")
_ELSEWHERE = re.compile(r"url\(\s*(?!#)|@|\\|expression|image\s*\(|image-set", re.IGNORECASE)


def safe_svg(text: str, name: str) -> str:
    """Return a drawing with nothing in it that runs, or that is fetched.

    Raises:
        RunError: If it is not an SVG.
    """
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise _damaged(name, str(error)) from error
    if root.tag != f"{{{SVG}}}svg":
        raise _damaged(name, "it is no SVG")
    _clean(root)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _clean(element: ElementTree.Element) -> None:
    waiting = [element]
    while waiting:
        parent = waiting.pop()
        for name, value in list(parent.attrib.items()):
            if not _allowed(name, value):
                del parent.attrib[name]
        for child in list(parent):
            if child.tag not in _ELEMENTS:
                parent.remove(child)
            else:
                waiting.append(child)


def _allowed(name: str, value: str) -> bool:
    if name in ("href", f"{{{XLINK}}}href"):
        return value.startswith("#") or _PICTURE.fullmatch(value) is not None
    return name in _ATTRIBUTES and not _ELSEWHERE.search(value)


def _damaged(name: str, why: str) -> RunError:
    return RunError(f"The figure {name} is damaged: {why}. Draw it again: `vaescape figures RUN`.")

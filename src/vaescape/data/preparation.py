"""How pictures become what a model was trained on: derived from the training set, kept by the run.

The same preparation serves every entrance: ``reconstruct``, ``interpolate``, ``embed``, ``score``,
the live page and Python.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from jaxtyping import UInt8
from torch import Tensor

from vaescape.data.picture import FORMATS, MOST_PIXELS, border, open_picture, prepare
from vaescape.errors import RunError

DARK, BRIGHT = 64, 191
"""A border tone below, or above, is a dark, or a bright, background."""
SHARE = 0.9
"""The least share of the training images with such a border: then the set has a background."""
LOOKED_AT = 2000
"""Training images whose borders are looked at, evenly spaced."""


@dataclass(frozen=True)
class Preparation:
    """What is done to a picture before a model sees it."""

    shape: tuple[int, int, int]
    """(C, H, W)."""
    border: float | None = None
    """The median brightness of the training images' borders, 0 to 255."""
    background: Literal["dark", "bright"] | None = None
    """What nearly all training images have at their borders; None: no one background."""
    top: int | None = None
    """The integer that became 255 in the training set; None: its pixels were bytes or floats."""
    backdrop: int | None = None
    """The brightness put behind transparent pixels of the training set; None: it had none."""
    source: str = ""
    """What the pictures of the training set were: "320 × 240 colour"."""

    @classmethod
    def of(cls, pixels: UInt8[Tensor, "N C H W"], **known: Any) -> "Preparation":
        """Return the preparation that makes a picture like these training images."""
        every = max(1, len(pixels) // LOOKED_AT)
        tones = _tone(pixels[::every])
        background = None
        if (tones < DARK).double().mean() >= SHARE:
            background = "dark"
        elif (tones > BRIGHT).double().mean() >= SHARE:
            background = "bright"
        _, c, h, w = pixels.shape
        return cls((c, h, w), round(tones.median().item(), 1), background, **known)

    def inverts(self, pixels: UInt8[Tensor, "C H W"]) -> bool:
        """Return whether light and dark of a picture must be exchanged to be like the set.

        Only of grey sets whose images nearly all have one background, dark or bright, and only if
        the picture's border is on the other side of mid-grey. Colours are never inverted.
        """
        if self.shape[0] != 1 or self.background is None:
            return False
        return bool(_tone(pixels[None]) > 127.5) == (self.background == "dark")

    def picture(
        self,
        source: Path | str | bytes,
        *,
        invert: bool | None = None,
        formats: tuple[str, ...] = FORMATS,
        most: int = MOST_PIXELS,
    ) -> tuple[UInt8[Tensor, "C H W"], str]:
        """Return a picture prepared like the training images, and in words what was done.

        Args:
            source: A picture file, or what is in one.
            invert: Exchange light and dark; None leaves it to :meth:`inverts`.
            formats: What it may be.
            most: Pixels that are decoded at most.

        Raises:
            ImageError: If it cannot be read.
        """
        file = Path(source) if isinstance(source, str) else source
        top, near = self.top, 4 * max(self.shape[1:])
        image, traits = open_picture(
            file, formats, top=top, backdrop=self.backdrop, most=most, near=near
        )
        pixels = prepare(image, self.shape)
        inverted = self.inverts(pixels) if invert is None else invert
        done = f"{self._size()}, from {described([traits[:2]], [traits.colour])}"
        if not inverted:
            return pixels, done
        why = f", because the training images have a {self.background} background"
        return 255 - pixels, f"{done}, inverted{why if invert is None else ''}"

    def _size(self) -> str:
        c, h, w = self.shape
        return f"{w} × {h} {'grey' if c == 1 else 'colour'}"

    def sentence(self) -> str:
        """Return it in words: "28 × 28 grey, from 320 × 240 colour, dark background"."""
        parts = [self._size()]
        parts += [f"from {self.source}"] if self.source else []
        parts += [f"{self.background} background"] if self.background else []
        parts += [f"{self.top} becomes white"] if self.top is not None else []
        parts += ["transparent becomes black"] if self.backdrop == 0 else []
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of :meth:`from_dict`."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_dict(cls, values: Any) -> "Preparation":
        """Return the preparation that a run recorded.

        Raises:
            RunError: If it is damaged.
        """
        known = {field.name for field in fields(cls)}
        given = values if isinstance(values, dict) else {}
        shape, number = given.get("shape"), (int, float, type(None))
        sound = (
            isinstance(shape, list | tuple)
            and len(shape) == 3
            and all(type(side) is int and 0 < side <= 4096 for side in shape)
            and set(given) <= known
            and given.get("background") in (None, "dark", "bright")
            and isinstance(given.get("source", ""), str)
            and all(type(given.get(key)) in number for key in ("border", "top", "backdrop"))
        )
        if not sound:
            raise RunError(
                "The recorded preparation of pictures is damaged: expected shape, border, "
                f"background, top, backdrop and source. Got {values!r:.200}. Restore run.json from "
                "a copy, or train again."
            )
        return cls(**{**given, "shape": tuple(given["shape"])})  # pyright: ignore[reportArgumentType]


def described(sizes: list[tuple[int, int]], colours: list[bool]) -> str:
    """Return what pictures are, in words: "320 × 240 to 4032 × 3024 grey and colour"."""
    ordered = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))
    ends = [ordered[0], *ordered[1:][-1:]]
    kinds = {"colour" if colour else "grey" for colour in colours}
    return f"{' to '.join(f'{w} × {h}' for w, h in ends)} {' and '.join(sorted(kinds)[::-1])}"


def _tone(pixels: UInt8[Tensor, "N C H W"]) -> Tensor:
    """Return the median brightness of each image's border, its channels averaged."""
    return border(pixels).float().mean(-2).median(dim=-1).values

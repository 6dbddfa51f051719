"""Interpolations that move: animated GIFs."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vaescape.errors import OptionError
from vaescape.files import write_atomic
from vaescape.plots.sheets import to_rgb


def animated_gif(
    frames: ArrayLike, path: Path, *, scale: int = 8, fps: float = 12, ping_pong: bool = True
) -> Path:
    """Write frames (T, C, H, W), pixels in [0, 1], as an endless GIF, and give its path back.

    Pixels stay sharp squares of ``scale``. With ``ping_pong`` the frames run forth and back,
    without showing either end twice. GIF counts time in hundredths of a second, to which the
    duration of a frame is rounded.

    Raises:
        OptionError: If there is no frame, or ``scale`` or ``fps`` is not positive.
        RunError: If the file cannot be written; it is whole or not there.
    """
    from PIL import Image

    images = np.asarray(frames)
    if images.ndim != 4 or len(images) == 0 or scale < 1 or fps <= 0:
        raise OptionError(
            "Expected at least one frame (T, C, H, W), a scale of 1 or more and a positive fps; "
            f"got frames {images.shape}, scale {scale}, fps {fps}."
        )
    pixels = np.rint(255 * to_rgb(images)).astype(np.uint8)
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    if ping_pong:
        pixels = np.concatenate([pixels, pixels[-2:0:-1]])
    grey = bool((pixels == pixels[..., :1]).all())
    first, *rest = [Image.fromarray(frame[..., 0] if grey else frame) for frame in pixels]
    stream, duration = io.BytesIO(), 10 * max(1, round(100 / fps))
    settings = {"duration": duration, "loop": 0, "optimize": False}
    first.save(stream, format="GIF", save_all=True, append_images=rest, **settings)
    return write_atomic(path, stream.getvalue())

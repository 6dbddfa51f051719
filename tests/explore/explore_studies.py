"""Small studies of every shape that the page must show, trained for a moment on made-up images."""

from pathlib import Path

import numpy as np

from vaescape import Study
from vaescape.explore import page
from vaescape.explore.blobs import Blob

BUILT = f"""<!doctype html><html><head>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {page.SEALED}">
<title>vaescape</title></head><body><div id="app"></div>
{page.MANIFEST}
{page.BLOBS}
{page.END}
</body></html>
"""
"""The front end's page before anything fills it."""

TINY = {"network": "conv(channels=[4, 8], hidden=8)", "epochs": 1, "batch": 20, "threads": 1}


def blobs(count: int, size: int, channels: int, classes: int, seed: int = 0) -> dict:
    """Return soft discs, one place and one colour per class, as bytes with their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    place = rng.uniform(0.25, 0.75, (classes, 2))[labels] + rng.normal(0, 0.04, (count, 2))
    colour = rng.uniform(0.3, 1, (classes, channels))[labels]
    axis = (np.arange(size) + 0.5) / size
    square = (axis[None, None] - place[:, 0, None, None]) ** 2
    square = square + (axis[None, :, None] - place[:, 1, None, None]) ** 2
    images = np.exp(-square / 0.02)[:, None] * colour[:, :, None, None]
    return {"images": np.rint(images * 255).astype(np.uint8), "labels": labels}


def study(folder: Path, *, latent: int = 2, named: list[str] | None = None, count: int = 240,
          size: int = 28, channels: int = 1, classes: int = 4, labelled: bool = True,
          **changes) -> Study:  # fmt: skip
    """Return a trained study of discs, its data in the folder."""
    made = blobs(count, size, channels, classes)
    if named:
        made["labels"] = np.array(named)[made["labels"]]
    if not labelled:
        del made["labels"]
    path = folder / "discs.npz"
    np.savez(path, **made)
    data = f"npz(path={str(path)!r})"
    return Study("paper", data=data, latent=latent, **(TINY | changes)).fit()


def read(blob: Blob) -> np.ndarray:
    """Return the numbers that the page reads from a blob."""
    kinds = {"u8": "u1", "u16": "<u2", "u32": "<u4", "f16": "<f2", "f32": "<f4"}
    values = np.frombuffer(blob.content, kinds[blob.about["dtype"]]).reshape(blob.about["shape"])
    if not blob.about["scale"]:
        return values
    low, high = np.array(blob.about["scale"]).T
    return low + values / (255 if blob.about["dtype"] == "u8" else 65535) * (high - low)


KINDS = {
    "2d": {},
    "16d": {"latent": 16},
    "1d": {"latent": 1},
    "64c": {"size": 64, "channels": 3, "classes": 200, "count": 1400},
    "one-class": {"classes": 1},
    "no-label": {"labelled": False},
    "autoencoder": {"posterior": "point", "objective": "elbo(beta=0)"},
    "codes": {"latent": 16, "posterior": "residual-vq(codes=12, stages=2, positions=4)"},
    "ladder": {"latent": 6, "model": "ladder(levels=3, dims=4)", "network": "mlp(hidden=16)"},
    "conditional": {"latent": 4, "conditional": True, "network": "mlp(hidden=16)"},
    "sphere": {"latent": 3, "posterior": "power-spherical", "prior": "uniform-sphere"},
    "ball": {"latent": 2, "posterior": "wrapped-normal"},
    "hostile": {
        "named": [
            "</script><img src=x onerror=alert(1)>",
            '"quoted" & <b>bold</b>',
            "\u202eright to left\u2028",
            "<!-- blobs -->",
        ]
    },
}
"""What differs from two dimensions, four classes and 28 × 28 grey pixels."""

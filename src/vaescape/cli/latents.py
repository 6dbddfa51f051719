"""Commands that decode latents: sample, interpolate, traverse, reconstruct."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from vaescape.cli.common import (
    Class,
    Invert,
    Json,
    Out,
    Run,
    Seed,
    app,
    leave,
    open_run,
    print_json,
    say,
)
from vaescape.cli.settings import DataDir


@app.command(epilog="Example: vaescape sample runs/paper -n 100 --seed 7 --out samples.png")
def sample(
    run: Run,
    n: Annotated[int, Option("-n", help="Number of images.")] = 64,
    label: Class = None,
    seed: Seed = 0,
    kind: Annotated[str, Option(help="means, or draws: pixels from the likelihood.")] = "means",
    prior: Annotated[str | None, Option(help="Name of a prior fitted by fit-prior.")] = None,
    temperature: Annotated[
        float, Option(help="Below 1, z is closer to the modes of the prior.")
    ] = 1.0,
    out: Out = None,
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Sample z from the prior and decode it."""
    from vaescape import plots

    _, study = open_run(run, data_dir)
    images = study.sample(
        n,
        label,
        seed=seed,
        kind=kind,  # pyright: ignore[reportArgumentType]
        prior=prior,
        temperature=temperature,
    )
    words = {"means": "decoder means", "draws": "draws from the likelihood"}[kind]
    asked = "" if label is None else f"class {study.classes[study.classes.number(label)]}, "
    source = f"fitted prior {prior}" if prior else "prior"
    at = "" if temperature == 1 else f" at temperature {temperature:g}"
    note = f"{asked}z from the {source}{at}, seed {seed}"
    leave(out or Path("samples.png"), plots.samples(images, kind=words, note=note), images)


ENDS = (
    "Two ends, or four corners of a grid. Each is the number of a test image (12), a class "
    "(Sandal), a point of the latent space (0.5,-1.2) or a picture file. Where classes are "
    "named by numbers, 3 is the class and test:3 the image."
)


@app.command(epilog="Examples: vaescape interpolate runs/paper Sandal Bag · vaescape interpolate "
             "runs/paper 12 97 --path spherical --out walk.gif · vaescape interpolate runs/paper "
             "Coat Dress Bag Trouser --out grid.png",
             context_settings={"ignore_unknown_options": True})  # fmt: skip
def interpolate(
    run: Run,
    ends: Annotated[list[str], Argument(help=ENDS)],
    steps: Annotated[int, Option(help="Images on the path, its ends included.")] = 11,
    path: Annotated[str, Option(help="linear, spherical, geodesic or all.")] = "all",
    follow: Annotated[float, Option(help="How strongly geodesics keep to the data: λ per nat of "
                                    "density below a typical code; 0: not at all.")] = 0.0,
    label: Class = None, invert: Invert = None,
    out: Annotated[Path, Option("--out", "-o", help=".png, .svg, .gif, .npz.")] = Path("path.png"),
    data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Interpolate between images, classes or points: a strip, a grid or an animated GIF."""
    from vaescape.cli import drawing

    _, study = open_run(run, data_dir)
    places = [drawing.place(study, end, label, invert=invert) for end in ends]
    leave(out, *drawing.interpolation(study, ends, places, steps, path, follow))


@app.command(epilog="Example: vaescape traverse runs/paper --steps 9 --reach 2.5")
def traverse(
    run: Run,
    dim: Annotated[list[int] | None, Option(help="Only these dimensions, counted from 0.")] = None,
    steps: Annotated[int, Option(help="Images along each dimension.")] = 11,
    reach: Annotated[float, Option(help="Range of each dimension: −reach to reach.")] = 3.0,
    label: Class = None,
    out: Out = None,
    data_dir: DataDir = None,
) -> None:
    """Vary one latent dimension at a time."""
    from vaescape.cli import drawing

    _, study = open_run(run, data_dir)
    leave(out or Path("traversals.png"), *drawing.traversal(study, dim, steps, reach, label))


@app.command(epilog="Examples: vaescape reconstruct runs/paper shoe.jpg · vaescape reconstruct "
             "runs/paper 0 1 2 3")  # fmt: skip
def reconstruct(
    run: Run,
    pictures: Annotated[list[str], Argument(help="Picture files, or numbers of test images.")],
    label: Class = None,
    invert: Invert = None,
    out: Out = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Encode and decode test images, or pictures of your own."""
    from vaescape import plots
    from vaescape.cli.drawing import reconstruction
    from vaescape.cli.pictures import gathered

    _, study = open_run(run, data_dir)
    some = gathered(study, pictures, label, invert)
    again = study.reconstruct(some.images, some.classes)
    rows = reconstruction(study, some, again)
    strip = plots.reconstruction_strip(study.space.floats(some.images).cpu(), again)
    leave(out or Path("reconstructions.png"), strip, again, quiet=as_json)
    if as_json:
        print_json({"pictures": rows})
    else:
        for row in rows:
            say(f"{row['picture']}: z = {row['z']}, pixel MSE {row['mse']:.4f}")
            if "prepared" in row:
                say(f"  prepared: {row['prepared']}")

"""Commands that write tables about many pictures: embed and score."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from vaescape.cli.common import Class, Invert, Json, Run, Seed, app, open_run, print_json, say
from vaescape.cli.settings import DataDir
from vaescape.errors import OptionError
from vaescape.extras import require_extra

PICTURES = (
    "Picture files, folders of pictures, numbers of test images, or test or train: a whole split "
    "of the run's data."
)
Pictures = Annotated[list[str], Argument(help=PICTURES)]


@app.command(epilog="Examples: vaescape embed runs/paper shoe.jpg photos/ --out codes.csv · "
             "vaescape embed runs/paper test --out codes.npz")  # fmt: skip
def embed(
    run: Run,
    pictures: Pictures,
    label: Class = None,
    invert: Invert = None,
    out: Annotated[
        Path, Option("--out", "-o", help=".csv, .npz, or .parquet with the extra parquet.")
    ] = Path("codes.csv"),
    data_dir: DataDir = None,
) -> None:
    """Encode pictures and write the codes to a table."""
    from vaescape.cli.pictures import gathered

    _check(out)
    _, study = open_run(run, data_dir)
    names, images, classes, _ = gathered(study, pictures, label, invert)
    z, log_var = study.encode_with_variance(images, classes)
    columns: dict[str, Sequence[Any]] = {"picture": names}
    columns |= {f"z{d}": z[:, d].tolist() for d in range(z.shape[1])}
    if log_var is not None:
        columns |= {f"log_var{d}": log_var[:, d].tolist() for d in range(z.shape[1])}
    arrays = {"picture": names, "z": z.numpy()}
    _write(out, columns, arrays | ({} if log_var is None else {"log_var": log_var.numpy()}))
    typer.echo(f"{out}: {len(names)} codes of {z.shape[1]} numbers")


@app.command(epilog="Examples: vaescape score runs/paper photos/ · vaescape score runs/paper "
             "a.png b.png --out scores.csv")  # fmt: skip
def score(
    run: Run,
    pictures: Pictures,
    label: Class = None,
    invert: Invert = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help=".csv, .npz, or .parquet; printed by default.")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Score how well the model explains each picture, compared with the test images."""
    from vaescape.cli.pictures import gathered
    from vaescape.evaluation.scores import among_test_images, compared_with, scores

    if out is not None:
        _check(out)
    _, study = open_run(run, data_dir)
    names, images, classes, _ = gathered(study, pictures, label, invert)
    found = scores(study, images, classes, seed=seed)
    ranks = among_test_images(study, found, seed=seed)
    direction = DIRECTION.format(len(compared_with(study)))
    columns: dict[str, Sequence[Any]] = {"picture": names}
    for name, values in found.items():
        columns |= {name: values.tolist(), f"{name}_percentile": ranks[name].tolist()}
    if out is not None:
        _write(out, columns, columns)
    if out is not None and not as_json:
        say(f"{out}: {len(names)} pictures. {direction}")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if as_json:
        print_json({"pictures": rows})
    elif out is None:
        for row in rows:
            say(_sentence(row))
        say(direction)


def _sentence(row: dict[str, Any]) -> str:
    parts = []
    if "negative_elbo" in row:
        share = row["negative_elbo_percentile"]
        parts.append(f"negative ELBO {row['negative_elbo']:.2f} nats (percentile {share:.1f})")
    parts.append(f"pixel MSE {row['mse']:.4f} (percentile {row['mse_percentile']:.1f})")
    return f"{row['picture']}: {', '.join(parts)}"


DIRECTION = (
    "Percentile: the share of the {:,} test images that score as well or better. Low is good; "
    "above 99, the model explains hardly any test image as badly."
)


def _check(out: Path) -> None:
    """Refuse a file that could not be written, before the work.

    Raises:
        OptionError: For another ending.
        MissingExtraError: If pyarrow is missing.
    """
    if out.suffix not in (".csv", ".npz", ".parquet"):
        raise OptionError(f"Expected a name ending in .csv, .npz, .parquet. Got {out}.")
    if out.suffix == ".parquet":
        require_extra("parquet", "A table in .parquet, not .csv or .npz,")


def _write(out: Path, columns: dict[str, Sequence[Any]], arrays: dict[str, Any]) -> None:
    import numpy as np

    from vaescape.files import as_csv, npz, write_atomic

    if out.suffix == ".csv":
        write_atomic(out, as_csv(columns))
    elif out.suffix == ".npz":
        named = {key: np.asarray(value) for key, value in arrays.items()}
        write_atomic(out, npz(named))
    else:
        import pyarrow  # pyright: ignore[reportMissingImports]
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]

        sink = pyarrow.BufferOutputStream()
        parquet.write_table(pyarrow.table(columns), sink)
        write_atomic(out, sink.getvalue().to_pybytes())

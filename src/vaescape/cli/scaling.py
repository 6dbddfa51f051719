"""Commands for sets beyond memory: pack and encode."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from vaescape.cli.common import Run, app, open_run, say
from vaescape.cli.settings import DataDir, Device, Threads

Workers = Annotated[
    int | None, Option(help="Processes that decode pictures; by default one for each core.")
]


@app.command(epilog="Examples: vaescape pack photos/ packed/ --size 64 --colour · vaescape pack "
             "set.npz packed/")  # fmt: skip
def pack(
    source: Annotated[
        str, Argument(help="A folder of pictures, tars, Parquet files, an .npz or any data set.")
    ],
    out: Annotated[Path, Argument(help="The folder of the packed set.")],
    size: Annotated[int, Option(help="Height and width of the pictures, in pixels.")] = 28,
    colour: Annotated[bool, Option("--colour", help="Keep the colours of the pictures.")] = False,
    workers: Workers = None,
    data_dir: DataDir = None,
) -> None:
    """Pack a data set into mapped files, so that training needs no memory for it.

    The same command goes on where an earlier one was stopped.
    """
    from vaescape.data import opened
    from vaescape.data.opening import fitted
    from vaescape.data.packed import Packed
    from vaescape.data.packing import pack
    from vaescape.errors import OptionError

    if workers is not None and workers < 1:
        raise OptionError(f"--workers must be 1 or more. Got {workers}.")
    text = fitted(source, size=size, grey=not colour, data_dir=data_dir)
    if text == source and (size != 28 or colour):
        raise OptionError(
            f"--size and --colour are for pictures, and {source} has none: it is packed as it is."
        )
    pack(opened(text, data_dir=data_dir), out, source=text, workers=workers)
    made = Packed(str(out))
    counts = ", ".join(f"{len(made.load(split)):,} {split}" for split in made.splits)
    say(f"{out}: {counts} images of {' × '.join(map(str, made.shape))}")


@app.command(epilog="Examples: vaescape encode runs/paper photos-64 --out codes/ · vaescape encode "
             "runs/paper photos-64 --out codes/ --worker 3/64 · vaescape encode runs/paper "
             "photos-64 --out codes/ --ray local")  # fmt: skip
def encode(
    run: Run,
    source: Annotated[
        str | None, Argument(help="A packed set or any other; by default the run's own data.")
    ] = None,
    out: Annotated[Path, Option("--out", "-o", help="Folder of the codes.")] = Path("codes"),
    worker: Annotated[
        str, Option(help="Encode every n-th shard, from the i-th on: i/n. Workers share nothing.")
    ] = "1/1",
    ray: Annotated[
        str | None,
        Option(
            help="Encode on Ray: the address of a cluster, auto for the one of this machine, or "
            "local to start one.",
            metavar="ADDRESS",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Encode a whole set into files, one for each shard, with any number of workers.

    A file that is there is finished: the same command goes on where an earlier one was stopped.
    """
    from vaescape import encoding
    from vaescape.errors import OptionError

    if ray is not None:
        if worker != "1/1":
            raise OptionError("Ray shares the shards itself. Leave out --worker or --ray.")
        errand = encoding.Errand(run, source, out, data_dir, device, threads)
        return _told(encoding.encode_on_ray(errand, ray, tell=say))
    chosen = encoding.Worker.of(worker)
    _, study = open_run(run, data_dir, device, threads)
    data = study.data if source is None else encoding.source(study, source, data_dir)
    return _told(encoding.encode(study, data, out, worker=chosen, tell=say))


def _told(out: Path) -> None:
    """Say how many files of codes there are."""
    from vaescape.codes import read_manifest

    files = read_manifest(out)["files"]
    say(f"{out}: {sum((out / name).exists() for name in files)} of {len(files)} files")

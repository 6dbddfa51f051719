"""Where the files of a user's own data set are searched."""

from pathlib import Path

from vaescape.errors import DataError


def located(path: str, data_dir: Path | None = None, base: Path | None = None) -> Path:
    """Return where a set's file or folder is.

    Args:
        path: As the user wrote it.
        data_dir: A folder that has it, whatever the path says: under the path, or under its name.
        base: Where a relative path starts: a run keeps the folder that it was started in. Without
            it, or if nothing is there, the current folder.

    Raises:
        DataError: If ``data_dir`` is given and has no such file.
    """
    written = Path(path).expanduser()
    if data_dir is not None:
        places = [data_dir / written, data_dir / written.name]
        if found := [place for place in places[written.is_absolute() :] if place.exists()]:
            return found[0]
        raise DataError(
            f"{data_dir}: expected {written.name} in this data folder. Got nothing of that name. "
            "Put it there, or leave the data folder out."
        )
    if base is not None and not written.is_absolute() and (base / written).exists():
        return base / written
    return written


def other_file(path: Path) -> str | None:
    """Return what to do with a file that holds images but is no picture; None: it may be one."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if "idx3-ubyte" in name or "idx1-ubyte" in name:
        return (
            f"MNIST's four files: --data mnist (or fashion-mnist, kmnist) --data-dir {path.parent}."
        )
    if suffix in (".npz", ".tar", ".parquet", ".arrow"):
        return f"Give the file itself: --data {path}."
    if suffix in (".zip", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"):
        return f"Unpack {path.name}, and give the folder."
    if suffix in (".npy", ".csv", ".mat", ".h5", ".hdf5", ".pt", ".pkl", ".pickle"):
        return f"Save what is in {path.name} with numpy.savez('set.npz', images=…, labels=…)."
    return None

"""A virtual environment per peer, with pinned versions, under ``benchmarks/.venvs``."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
VENVS = HERE / ".venvs"

NEEDS: dict[str, tuple[str, ...]] = {
    "keras": ("tensorflow-cpu==2.21.0", "keras==3.15.1"),
    "pythae": ("pythae==0.1.2", "cloudpickle", "imageio", "pydantic>=2", "scikit-learn", "tqdm"),
}
"""What each peer installs. A peer that is not here runs in our own environment."""

SHARES_OUR_TORCH = {"pythae"}
"""Peers that take PyTorch, and NumPy with it, from our environment: the same build for both."""


def python(peer: str) -> str:
    """Return the interpreter of a peer, its environment made at the first call."""
    if peer not in NEEDS:
        return sys.executable
    home = VENVS / peer
    interpreter = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if peer in SHARES_OUR_TORCH:
            ours = sysconfig.get_path("purelib")
            Path(_site(home), "ours.pth").write_text(f"{ours}\n")
            install.append("--no-deps")
        subprocess.run([*install, *NEEDS[peer]], check=True)
        (home / "ready").touch()
    return str(interpreter)


def environment(threads: int) -> dict[str, str]:
    """Return the environment variables that every contestant runs under."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "PYTHONWARNINGS": "ignore"}
    wide = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return os.environ | quiet | wide


def _site(home: Path) -> Path:
    return next((home / "lib").glob("python*")) / "site-packages"

"""``python -m vaescape`` is the command ``vaescape``."""

from vaescape.cli import main

main()

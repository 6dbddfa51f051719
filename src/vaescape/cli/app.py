"""The commands. Each imports what it needs when it runs, so that ``--help`` is there at once."""

# In the order in which `vaescape --help` shows them.
from vaescape.cli import running, playing, results, latents, scoring, looking, scaling  # noqa: F401, I001
from vaescape.cli.common import app
from vaescape.cli.settings import ask_before_importing

ask_before_importing(app)

__all__ = ["app"]

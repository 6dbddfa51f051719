"""What `vaescape list` reads from the sources is what Python knows, and PyTorch is not loaded."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest
from cli_tools import ENVIRONMENT, Home

from vaescape.catalogue import entry
from vaescape.cli.inventory import HOMES, inventory
from vaescape.components import known


@pytest.mark.parametrize("kind", HOMES)
def test_a_list_read_from_the_sources_is_that_of_the_registry(kind: str):
    import_module(f"vaescape.{HOMES[kind]}")
    ours = {n: c for n, c in known(kind).items() if c.__module__.startswith("vaescape.")}
    expected = {}
    for name in ours:
        found = entry(kind, name)
        takes = {a.name: None if a.required else a.default for a in found.arguments}
        expected[name] = {"is": found.summary, "takes": takes}
    assert inventory(kind)[kind] == expected
    assert expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "recipe"),
        ("list", "prior"),
        ("show", "runs/look"),
        ("compare", "runs/look", "runs/look"),
        ("run", "paper", "--latent", "8", "--dry-run"),
        ("--help",),
    ],
    ids=" ".join,
)
def test_what_only_prints_loads_no_torch(home: Home, arguments: tuple[str, ...]):
    code = (
        "import sys, contextlib\n"
        f"sys.argv = ['vaescape', *{arguments!r}]\n"
        "from vaescape.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main()\n"
        "heavy = {'torch', 'matplotlib', 'sklearn', 'scipy', 'jaxtyping'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home.path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.stderr == "[]\n"
    assert inspect.cleandoc(told.stdout)

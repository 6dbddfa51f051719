"""The settings of a run as options of a command, in one place for all commands that take them."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option, Typer

MODEL, TRAINING, PLACE = "The model", "Training", "Where"


def model_option(help: str) -> Any:
    """Return an option in the panel of the model."""
    return Option(help=help, rich_help_panel=MODEL)


def training_option(help: str) -> Any:
    """Return an option in the panel of training."""
    return Option(help=help, rich_help_panel=TRAINING)


Recipe = Annotated[str, Argument(help="A recipe: `vaescape list recipe`.")]
Model = Annotated[
    str | None, model_option("Model, e.g. 'ladder(levels=3)': `vaescape list model`.")
]
Conditional = Annotated[
    bool | None,
    model_option("Condition the model on the class: q(z | x, c), p(x | z, c), p(z | c)."),
]
Latent = Annotated[int | None, model_option("Latent size D.")]
Beta = Annotated[float | None, model_option("Weight of the KL.")]
Network = Annotated[str | None, model_option("Network, e.g. mlp or 'conv(hidden=64)'.")]
Posterior = Annotated[str | None, model_option("Posterior q(z | x).")]
Likelihood = Annotated[str | None, model_option("Likelihood p(x | z), e.g. continuous-bernoulli.")]
Prior = Annotated[str | None, model_option("Prior p(z).")]
Objective = Annotated[str | None, model_option("Objective, e.g. 'elbo(warmup=0.3)'.")]
Epochs = Annotated[float | None, training_option("Passes over the training images.")]
Batch = Annotated[int | None, training_option("Images per step.")]
Rate = Annotated[float | None, training_option("Learning rate.")]
Optimiser = Annotated[str | None, training_option("Optimiser: `vaescape list optimiser`.")]
Schedule = Annotated[
    str | None, training_option("Learning-rate schedule, e.g. 'one-cycle(warmup=0.1)'.")
]
Average = Annotated[
    float | None,
    training_option("Average the weights over the steps, with this decay per step, e.g. 0.999."),
]
RunSeed = Annotated[int | None, training_option("Seed of weights, order and noise.")]
Device = Annotated[str | None, training_option("auto, cpu, cuda, mps.")]
Precision = Annotated[
    str | None,
    training_option(
        "float32, bfloat16, or auto: bfloat16 where the hardware has it, else float32."
    ),
]
Measure = Annotated[
    Literal["quick", "full"],
    Option(help="How much to measure: quick takes about a tenth of the training time; full uses "
           "more samples, images and paths."),
]  # fmt: skip
Threads = Annotated[
    int | None,
    training_option("CPU threads; where other work keeps the cores busy, 1 can be much faster."),
]
Shards = Annotated[
    int | None,
    training_option("Shards of a batch. Any number of processes that divides it can share them: "
                    "`torchrun --nproc-per-node 4 -m vaescape run --shards 8`."),
]  # fmt: skip
Validation = Annotated[
    int | None, training_option("Training images to hold out for choosing between models.")
]
CheckpointSeconds = Annotated[
    float | None, training_option("Seconds between checkpoints; 0 saves after every step.")
]
Film = Annotated[
    int | None, training_option("Training snapshots to keep for the explorer's training film.")
]
Changes = Annotated[
    str | None,
    training_option("Settings that change at steps, e.g. '0 beta=1, 120 beta=4, 200 lr=0.01'."),
]
Binarise = Annotated[
    str | None,
    training_option("Binarise the pixels: none, fixed (once) or dynamic (anew in each batch)."),
]
Labelled = Annotated[
    int | None, training_option("Number of training images that keep their label (model m2).")
]
Limit = Annotated[int | None, training_option("Use at most this many images of each split.")]
DataSet = Annotated[
    str | None, Option(help="Data set: `vaescape list data`.", rich_help_panel=PLACE)
]
DataDir = Annotated[
    Path | None, Option(help="Folder with the files of the data set.", rich_help_panel=PLACE)
]
Root = Annotated[Path, Option(help="Folder that holds all runs.", rich_help_panel=PLACE)]
Name = Annotated[str | None, Option(help="Name of the run's folder.", rich_help_panel=PLACE)]
Overwrite = Annotated[
    bool,
    Option("--overwrite", help="Replace an existing run of the same name.", rich_help_panel=PLACE),
]


TrustCode = Annotated[
    bool,
    Option("--trust-code", help="Import the code that the run names. Only for runs you trust."),
]


def ask_before_importing(app: Typer) -> None:
    """Give ``--trust-code`` to every command that opens a run."""
    for command in app.registered_commands:
        function = command.callback
        assert function is not None
        if {"run", "runs"} & inspect.signature(function).parameters.keys():
            command.callback = _may_trust(function)


def _may_trust(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def opened(*, trust_code: bool, **given: Any) -> None:
        from vaescape.trust import trusting

        with trusting(trust_code):
            return command(**given)

    option = inspect.Parameter(
        "trust_code", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=TrustCode
    )
    return _with_signature(opened, [*inspect.signature(command).parameters.values(), option])


def _with_signature(
    function: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Return the function with the parameters that typer is to see."""
    function.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    del function.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    return function


def _settings(
    recipe: Recipe,
    model: Model = None, conditional: Conditional = None, latent: Latent = None,
    beta: Beta = None, network: Network = None,
    posterior: Posterior = None, likelihood: Likelihood = None, prior: Prior = None,
    objective: Objective = None, epochs: Epochs = None, batch: Batch = None, lr: Rate = None,
    optimiser: Optimiser = None, schedule: Schedule = None, average: Average = None,
    seed: RunSeed = None, device: Device = None, precision: Precision = None,
    threads: Threads = None, shards: Shards = None, validation: Validation = None,
    binarise: Binarise = None,
    labelled: Labelled = None,
    limit: Limit = None, checkpoint_seconds: CheckpointSeconds = None, film: Film = None,
    changes: Changes = None,
    data: DataSet = None,
) -> None:  # fmt: skip
    """What a person can choose about a run: the arguments of ``recipes.configuration``."""


def configures(recipe: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every setting; it gets the configuration as ``chosen``.

    Args:
        recipe: Where none is named.
    """
    settings = dict(inspect.signature(_settings).parameters)
    settings["recipe"] = settings["recipe"].replace(default=recipe)

    def taking(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for name, p in inspect.signature(command).parameters.items() if name != "chosen"]

        @functools.wraps(command)
        def configured(**given: Any) -> None:
            from vaescape.recipes import configuration

            values = {name: given.pop(name) for name in settings}
            recipe = values.pop("recipe")
            changes = {name: value for name, value in values.items() if value is not None}
            return command(chosen=configuration(recipe, **changes), **given)

        return _with_signature(configured, [*settings.values(), *own])

    return taking

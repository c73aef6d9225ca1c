"""The options of `microgpt train` on how the weights move."""

from typing import Annotated

import typer

TRAINING = "Training"  # their panel in the help

Steps = Annotated[int, typer.Option(help="Updates of the weights.", rich_help_panel=TRAINING)]
LearningRate = Annotated[
    float, typer.Option(help="Learning rate; falls linearly to 0.", rich_help_panel=TRAINING)
]
WarmupSteps = Annotated[
    int,
    typer.Option(
        help="Steps in which the learning rate rises first; for high ones.",
        rich_help_panel=TRAINING,
    ),
]
BatchSize = Annotated[int, typer.Option(help="Documents a step.", rich_help_panel=TRAINING)]
Dropout = Annotated[
    float,
    typer.Option(
        help="Share of each layer's results to leave out at random: what the model cannot learn by "
        "heart it has to understand.",
        rich_help_panel=TRAINING,
    ),
]
WeightDecay = Annotated[
    float,
    typer.Option(
        help="Share of the learning rate by which weights shrink, a step.",
        rich_help_panel=TRAINING,
    ),
]
AverageTail = Annotated[
    float,
    typer.Option(
        help="Share of the training, its end, whose weights are averaged.",
        rich_help_panel=TRAINING,
    ),
]
Beta1 = Annotated[
    float,
    typer.Option(help="Adam: share of its mean gradient kept, a step.", rich_help_panel=TRAINING),
]
Beta2 = Annotated[
    float,
    typer.Option(
        help="Adam: share of the mean of its square kept, a step.", rich_help_panel=TRAINING
    ),
]

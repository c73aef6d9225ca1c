"""`microgpt generate`: samples from a model."""

import json
import random
from typing import Annotated

import typer

from microgpt.config import DEFAULT_SEED, DEFAULT_TEMPERATURE, check_seed
from microgpt.errors import ConfigError
from microgpt_cli.options import DEFAULT_MODEL_DIR, AsJson, ModelDir, Temperature


def generate(
    model_dir: ModelDir = DEFAULT_MODEL_DIR,
    num_samples: Annotated[int, typer.Option(help="How many.")] = 20,
    prompt: Annotated[str, typer.Option(help="How each sample begins.")] = "",
    temperature: Temperature = DEFAULT_TEMPERATURE,
    seed: Annotated[
        int, typer.Option(help="Of the first sample; the next has seed + 1.")
    ] = DEFAULT_SEED,
    as_json: AsJson = False,
) -> None:
    """Print samples from a model."""
    check_seed(seed)
    if num_samples < 1:
        raise ConfigError(f"num_samples must be >= 1, got {num_samples}")

    from microgpt.checkpoint import load
    from microgpt.inference import InferenceGpt

    model = InferenceGpt(load(model_dir))

    def sample(i: int) -> str:
        rng = random.Random(seed + i)
        return model.generate(prompt=prompt, temperature=temperature, rng=rng)[0]

    if as_json:
        samples = [sample(i) for i in range(num_samples)]
        print(json.dumps({"samples": samples}))
        return
    for i in range(num_samples):
        print(f"sample {i + 1:2d}: {sample(i)}", flush=True)

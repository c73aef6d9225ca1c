"""`microgpt train`: train a model on a text file."""

from time import perf_counter

from microgpt import TrainOptions, join
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options


@examples(
    "microgpt train",
    "microgpt train --data my.txt --model my-model --minutes 5",
    "microgpt train --chat --data my.jsonl --model my-chat",
)
@with_options(TrainOptions)
def train(given: TrainOptions) -> None:
    """Train a model and write it to a directory.

    The defaults are Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data,
    settings that are not given are chosen to suit the documents and the given settings.
    """
    started = perf_counter()
    given.check_ranges()  # before NumPy is loaded

    from microgpt import TrainingDirectory, check_engine, check_has_training, default_engine
    from microgpt_cli.training.job import new_job, recipe_options
    from microgpt_cli.training.recorded_runs import resumed_job
    from microgpt_cli.training.run import TrainRun

    options = join(recipe_options(given), given)
    check_engine(options.engine or default_engine(), options.dtype, options.threads)
    if options.resume:
        check_has_training(options.resume)  # before its directory is locked
    job = None if options.resume else new_job(options, started)
    with TrainingDirectory(options.resume or options.output) as directory:
        if job := job or resumed_job(directory, given, started):
            TrainRun(job, directory, options).run()

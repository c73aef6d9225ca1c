"""`microgpt train`: train a model on a text file."""

from time import perf_counter

from microgpt.options import join
from microgpt.training.options import TrainOptions
from microgpt_cli.terminal.options import with_options


@with_options(TrainOptions)
def train(given: TrainOptions) -> None:
    """Train a model and write it to a directory.

    The defaults are Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data, the
    settings that are not given are chosen to suit the documents and those that are.
    """
    started = perf_counter()
    given.check_ranges()  # before NumPy is loaded

    from microgpt.storage.training_directory import TrainingDirectory, check_has_training
    from microgpt.training.engines import check_engine
    from microgpt.training.time_limit import TimeLimit
    from microgpt_cli.training.job import new_job, recipe_options
    from microgpt_cli.training.repetition import repeated_job
    from microgpt_cli.training.replacement import confirm_replacement, is_repeated, unused_model
    from microgpt_cli.training.resumption import refuse_unfinished, resumed_job
    from microgpt_cli.training.run import run

    options = join(recipe_options(given), given)
    check_engine(options.engine, options.dtype, options.threads)
    job, repeated = None, None
    if options.resume:
        check_has_training(options.resume)
    elif options.repeat:
        job, repeated = repeated_job(options.repeat, given)
    else:
        minutes = options.minutes
        limit = TimeLimit.of(minutes, started, has_plot=options.plot) if minutes else None
        job = new_job(options, limit)
    with TrainingDirectory(options.resume or options.output) as directory:
        if job and not options.force:
            refuse_unfinished(directory)
            if not is_repeated(job.plan, given):
                job.extend(confirm_replacement(given.output, unused_model(job.plan.input)))
        job = job or resumed_job(directory, given, started)
        if job:
            run(job, directory, given, repeated)

"""`microgpt train`: train a model on a text file."""

from time import perf_counter

from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options
from microgpt_cli.training.request import TrainRequest


@examples(
    "microgpt train",
    "microgpt train --data my.txt --model my-model --minutes 5",
    "microgpt train --chat --data my.jsonl --model my-chat",
)
@with_options(TrainRequest, settings=True)
def train(request: TrainRequest) -> None:
    """Train a model and write it to a directory.

    The defaults are Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data,
    settings that are not given are chosen to suit the documents and the given settings.
    """
    started = perf_counter()
    request.check()  # before NumPy is loaded

    from microgpt import TrainingDirectory, check_engine, check_has_training, default_engine
    from microgpt_cli.training.job import new_job
    from microgpt_cli.training.recorded_runs import resumed_job
    from microgpt_cli.training.run import TrainRun

    given, resume = request.given, request.resume
    check_engine(given.get("engine") or default_engine(), given.get("dtype"), request.threads)
    if resume:
        check_has_training(resume)  # before its directory is locked
    job = None if resume else new_job(request, started)
    with TrainingDirectory(resume or request.output) as directory:
        if job := job or resumed_job(directory, request, started):
            TrainRun(job, directory, request).run()

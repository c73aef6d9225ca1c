"""`microgpt train`: train a model on a text file."""

from microgpt import running_time
from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options
from microgpt_cli.training.train_request import TrainRequest


@examples(
    "microgpt train",
    "microgpt train --data my.txt --model my-model --minutes 5",
    "microgpt train --chat --model my-chat --minutes 1",
)
@with_options(TrainRequest)
def train(request: TrainRequest) -> None:
    """Train a model and write it to a directory.

    By default, repeat Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data, the
    settings that you omit are chosen to suit the documents and the given settings.
    """
    train_as(request)


def train_as(request: TrainRequest) -> None:
    """Train the requested model, save it and print the results."""
    started = running_time()
    settings = request.settings()  # checked first, because loading NumPy takes time

    from microgpt import TrainingDirectory, check_engine, check_has_training, default_engine
    from microgpt_cli.training.inputs import planned
    from microgpt_cli.training.job_run import run_job
    from microgpt_cli.training.replacement import check_output
    from microgpt_cli.training.resuming import resumed_job
    from microgpt_cli.training.training_report import draw_samples, print_results

    engine = request.given.get("engine") or default_engine()
    check_engine(engine, request.given.get("dtype"), request.given.get("threads", 1))
    if request.resume:
        check_has_training(request.resume)  # checked before the directory is locked
    job = None
    if not request.resume:
        job = planned({"engine": engine, **settings}, request, started)
    with TrainingDirectory(request.resume or request.output) as directory:
        if job:
            check_output(directory.path, job, request)
        if job := job or resumed_job(directory, request, started):
            result = run_job(job, directory, request)
            print_results(result, draw_samples(result, request.num_samples), job.sets, request)

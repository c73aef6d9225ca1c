"""`microgpt train`: train a model on a text file."""

from time import perf_counter
from typing import TYPE_CHECKING

from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options
from microgpt_cli.training.request import TrainRequest

if TYPE_CHECKING:
    from microgpt import EngineName, TrainingJob


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
    from microgpt_cli.training.recorded_runs import resumed_job
    from microgpt_cli.training.results import draw_samples, print_results
    from microgpt_cli.training.run import check_output, run_job

    engine = request.given.get("engine") or default_engine()
    check_engine(engine, request.given.get("dtype"), request.threads)
    if request.resume:
        check_has_training(request.resume)  # before its directory is locked
    job = None if request.resume else planned(request, engine, started)
    with TrainingDirectory(request.resume or request.output) as directory:
        if job:
            check_output(directory.path, job, request)
        if job := job or resumed_job(directory, request, started):
            n_samples = request.n_samples(job.plan.tokenizer.is_chat, job.plan.config.text)
            result = run_job(job, directory, request.threads, n_samples, quiet=request.as_json)
            samples = draw_samples(result, n_samples)
            print_results(result, samples, job, directory.path, request)


def planned(request: TrainRequest, engine: "EngineName", started: float) -> "TrainingJob":
    """Read and split the documents, and choose the settings that are not given."""
    from microgpt import Preparation, TimeLimit, hold_out, plan_training, prepare_replies
    from microgpt_cli.terminal.console import note
    from microgpt_cli.terminal.progress import load_kernels
    from microgpt_cli.training.inputs import load_sources, read_input, text_of, with_records

    asked = request.completed()
    parent, teachers = load_sources(request.from_, request.teacher)
    file, docs = read_input(request.input, asked, text_of(parent, teachers))
    text = "stream" if isinstance(docs, str) else "lines"
    # Documents that are generated are in the order in which to read them.
    given = {"engine": engine, "shuffle": file is not None, **asked, "text": text}
    sources = [each for each in (parent, teachers) if each]
    prepared = Preparation(given) if sources else prepare_replies(docs, given, note)
    parts = hold_out(docs, prepared.given, sources, note)
    job = plan_training(
        parts,
        prepared.given,
        tokenizer=prepared.tokenizer,
        extra=prepared.extra,
        parent=parent,
        teachers=teachers,
        limit=TimeLimit(asked["minutes"], started) if asked.get("minutes") else None,
        load_kernels=load_kernels,
        tell=note,
    )
    return with_records(job, file, request.given)

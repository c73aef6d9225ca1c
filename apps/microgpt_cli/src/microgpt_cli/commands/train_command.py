"""`microgpt train`: train a model on a text file."""

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt_cli.terminal.help import examples
from microgpt_cli.terminal.options import with_options
from microgpt_cli.training.train_request import TrainRequest

if TYPE_CHECKING:
    from microgpt import Given, TextKind, TrainingJob


@examples(
    "microgpt train",
    "microgpt train --data my.txt --model my-model --minutes 5",
    "microgpt train --chat --data my.jsonl --model my-chat",
)
@with_options(TrainRequest)
def train(request: TrainRequest) -> None:
    """Train a model and write it to a directory.

    The defaults are Karpathy's run: 32,033 names, 1,000 steps, 20 samples. With other data,
    settings that are not given are chosen to suit the documents and the given settings.
    """
    train_as(request)


def train_as(request: TrainRequest) -> None:
    """Train what a user asks for, save it and print the results."""
    started = perf_counter()
    settings = request.settings()  # checked before NumPy is loaded

    from microgpt import TrainingDirectory, check_engine, check_has_training, default_engine
    from microgpt_cli.training.job_run import run_job
    from microgpt_cli.training.recorded_runs import resumed_job
    from microgpt_cli.training.replacement import check_output
    from microgpt_cli.training.training_report import draw_samples, print_results

    engine = request.given.get("engine") or default_engine()
    check_engine(engine, request.given.get("dtype"), request.threads)
    if request.resume:
        check_has_training(request.resume)  # before its directory is locked
    job = None
    if not request.resume:
        job = planned({"engine": engine, **settings}, request, started)
    with TrainingDirectory(request.resume or request.output) as directory:
        if job:
            check_output(directory.path, job, request)
        if job := job or resumed_job(directory, request, started):
            result = run_job(job, directory, request)
            print_results(result, draw_samples(result, request.num_samples), job.sets, request)


def planned(given: "Given", request: TrainRequest, started: float) -> "TrainingJob":
    """Read and split the documents, and choose the settings that are not given."""
    from microgpt import Preparation, TimeLimit, hold_out, plan_training, prepare_replies
    from microgpt_cli.chosen_settings import explain_settings
    from microgpt_cli.counting import baselines
    from microgpt_cli.model_loading import load_model
    from microgpt_cli.terminal.console import note
    from microgpt_cli.terminal.progress_bar import load_kernels
    from microgpt_cli.training.inputs import load_teachers, read_input, text_of, with_records

    if given.get("budget") and "steps" in request.given:  # a time limit has corrected them
        given = {name: value for name, value in given.items() if name != "steps"}
    minutes = given.get("minutes")
    parent = load_model(request.from_) if request.from_ else None
    teachers = load_teachers(request.teacher or ())
    file, docs = read_input(request.input, given, text_of(parent, teachers))
    text: TextKind = "stream" if isinstance(docs, str) else "lines"
    given = {"shuffle": not file.is_in_order, **given, "text": text}
    sources = [each for each in (parent, teachers) if each]
    prepared = Preparation(given) if sources else prepare_replies(docs, given, note)
    sets = hold_out(docs, prepared.given, sources, note)
    losses = baselines(sets, text) if sets.validation else {}
    job = plan_training(
        sets,
        prepared.given,
        tokenizer=prepared.tokenizer,
        extra=prepared.extra,
        parent=parent,
        teachers=teachers,
        limit=TimeLimit(minutes, started, load_kernels=load_kernels) if minutes else None,
        tell=note,
    )
    for line in explain_settings(job.choice) if job.choice else ():
        note(line)
    job = replace(job, plan=replace(job.plan, baselines=losses))
    return with_records(job, file, request.given)

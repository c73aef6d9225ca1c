"""Plan a student of a model, in the architecture that llama.cpp and transformers have.

The student has the shape of its teacher, and is trained for as many steps. It learns the teacher's
predictions (`training.distillation`), for documents or for texts that the teacher makes up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from microgpt.config import TrainConfig
from microgpt.data.split import Split
from microgpt.data.tokenizer import Document
from microgpt.errors import ConfigError
from microgpt.inference import InferenceGpt
from microgpt.state import TrainedModel
from microgpt.storage.saved_model import SavedModel
from microgpt.training.distillation import Teachers
from microgpt.training.ensemble import MAX_TARGETS
from microgpt.training.holding_out import hold_out, recorded_split
from microgpt.training.operations import operations_per_second, step_operations
from microgpt.training.options import TrainOptions
from microgpt.training.planning import TrainingJob, plan_training
from microgpt.training.presets import PORTABLE

# Maximum number of texts that the teacher makes up before training, and of their tokens; half of
# the texts are held out.
N_TEXTS, N_TOKENS = 1000, 50_000
TIMES_READ = 2  # how often the student reads each text that the teacher makes up
# Settings of the teacher's training that the student has, too. Soft targets make dropout
# unnecessary, but without weight decay the student is worse.
KEPT = (
    "seed", "steps", "batch_size", "lr", "warmup_steps", "optimizer", "weight_decay",
    "average_tail", "loss_on", "long_docs",
)  # fmt: skip


@dataclass(frozen=True)
class PortableStudent:
    """The training of a portable student, and the documents on which it is compared."""

    job: TrainingJob
    teachers: Teachers
    held_out: Sequence[Document]
    is_made_up: bool  # whether they are texts that the teacher has made up

    def estimated_seconds(self) -> float:
        """Estimate the time of the training by measuring the speed of steps and of the teacher."""
        plan, chunks = self.job.plan, self.job.chunks
        shape = plan.model, plan.config
        speed = operations_per_second(*shape, length=chunks.mean_length, dtype=plan.dtype)
        steps_s = plan.config.steps * step_operations(*shape, chunks.mean_length) / speed
        return steps_s + self.teachers.estimated_seconds(chunks, plan, threads=1)

    def bits(self, model: TrainedModel) -> float:
        """Return the loss of a model on the held-out documents, in bits per character."""
        loss_on, text = self.job.plan.config.loss_on, self.job.plan.config.text
        found = InferenceGpt(model).evaluate(self.held_out, loss_on=loss_on, text=text)
        return found.bits_per_character


def plan_student(
    teacher: SavedModel, docs: Split | Sequence[Document] | str | None = None
) -> PortableStudent:
    """Return the training of a portable student.

    Args:
        docs: documents, which are split as in the training of the teacher, or a tenth of other ones
            is held out. By default, the teacher makes up the texts.

    Raises:
        ConfigError: a chat model has no documents, or its shape cannot be portable.
    """
    is_chat, size = teacher.tokenizer.is_chat, teacher.model.block_size
    if docs is None and is_chat:
        how = "pass some with --data"
        raise ConfigError(f"a chat model cannot make up conversations for its student; {how}")
    parts = docs if docs is None or isinstance(docs, Split) else _split(teacher, docs)
    held_out, texts = (parts.test or parts.validation) if parts else (), list[str]()
    if not (held_out or is_chat):
        n = max(2, min(N_TEXTS, N_TOKENS // size))
        drawn = InferenceGpt(teacher).generate(n, temperature=1.0, max_tokens=size)
        texts = [*filter(None, drawn)]
    read = parts or Split(texts[::2], texts[::2])
    read = replace(read, validation=(), test=())  # they are not read during the training
    teachers = Teachers([teacher])
    job = plan_training(read, _options(teacher), teachers=teachers)
    if parts is None:
        plan, config = job.plan, job.plan.config
        most = MAX_TARGETS / (4 * plan.model.vocab_size * job.chunks.mean_length)
        teachers.n_samples = min(int(most), config.steps * config.batch_size // TIMES_READ)
        job = replace(job, plan=replace(plan, teacher_samples=teachers.n_samples))
    return PortableStudent(job, teachers, held_out or texts[1::2], is_made_up=bool(texts))


def _split(teacher: SavedModel, docs: Sequence[Document] | str) -> Split:
    """Split documents as in the training of the teacher, or hold out a tenth of other ones."""
    recorded = recorded_split(docs, teacher.trained_on, TrainOptions())
    options = recorded if "test_fraction" in recorded else TrainOptions(test_fraction=0.1)
    size = TrainOptions(block_size=teacher.model.block_size, tokenizer=teacher.tokenizer.kind)
    return hold_out(docs, options.over(size), lambda line: None)


def _options(teacher: SavedModel) -> TrainOptions:
    """Return the student's shape and its known settings; the others suit the documents."""
    facts, training = (
        {**vars(teacher.model), **PORTABLE, "text": teacher.text},
        teacher.meta.training,
    )
    if "steps" in training and "parent_sha256" not in training:
        facts |= {name: training.get(name, getattr(TrainConfig, name)) for name in KEPT}
    return TrainOptions.of({**facts, "dropout": 0.0, "vocab_size": None})

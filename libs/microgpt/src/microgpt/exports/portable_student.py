"""Plan a student of a model, in an architecture that llama.cpp and transformers support.

The student has the shape of its teacher, and is trained for as many steps. It learns the teacher's
predictions (`training.distillation`) on documents, or on texts that the teacher generates.
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
    """The training run of a portable student, and the documents to compare it on."""

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
    """Return the training run of a portable student.

    Args:
        docs: training documents. Documents of the teacher are split as in its training run; of
            other documents, a tenth is held out. By default, the teacher generates the texts.

    Raises:
        ConfigError: there are no documents for a chat model, or its shape cannot be portable.
    """
    is_chat, size = teacher.tokenizer.is_chat, teacher.model.block_size
    if docs is None and is_chat:
        how = "pass some with --data"
        raise ConfigError(f"a chat model cannot generate conversations for its student; {how}")
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
    """Split the teacher's documents as in its training run; of others, hold out a tenth."""
    recorded = recorded_split(docs, teacher.trained_on, TrainOptions())
    options = recorded if "test_fraction" in recorded else TrainOptions(test_fraction=0.1)
    size = TrainOptions(block_size=teacher.model.block_size, tokenizer=teacher.tokenizer.kind)
    return hold_out(docs, options.over(size), lambda line: None)


def _options(teacher: SavedModel) -> TrainOptions:
    """Return the shape of the student and the settings that its teacher has recorded."""
    facts, training = (
        {**vars(teacher.model), **PORTABLE, "text": teacher.text},
        teacher.meta.training,
    )
    if "steps" in training and "parent_sha256" not in training:
        facts |= {name: training.get(name, getattr(TrainConfig, name)) for name in KEPT}
    return TrainOptions.of({**facts, "dropout": 0.0, "vocab_size": None})

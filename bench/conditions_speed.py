"""Measure the speed of texts that meet conditions, and of masked tokens.

Draws names at temperature 1, all and those that match, in turns. Draws texts of 512 characters,
all and those that begin with a rare character. Decodes replies of the bundled chat model, free
and with a regular expression. The ratios compare with free generation.

    uv run python bench/conditions_speed.py [--rounds 5]
"""

from functools import partial
from itertools import islice
from string import ascii_lowercase

from harness import in_turns, parsed, pin
from machine import machine

from microgpt import InferenceGpt, Message, ModelConfig, Sampling, TrainConfig, load, load_text
from microgpt.batching.grammar import regex_grammar
from microgpt.batching.masked_decoding import decode_masked
from microgpt.batching.text_conditions import TextConditions
from microgpt.data.documents import DEMO_MODEL, bundled
from microgpt.steps import finish
from microgpt.training.engines import prepare_engine
from microgpt.training.train import train

N_NAMES, N_LONG, STEPS, LONG_STEPS = 50_000, 1000, 1000, 30
NAMES = {
    ".*": TextConditions(".*"),
    "starts with k": TextConditions(starts="k"),
    "k.*": TextConditions("k.*"),
    "k.*y.a": TextConditions("k.*y.a"),
}
LONG = ModelConfig(n_embd=96, n_layer=2, n_head=4, block_size=512)
ALLOWED = "[^~]*"  # of replies: a mask that forbids nothing that the model would say


def main() -> None:
    """Measure and print the speeds."""
    rounds = parsed(__doc__, rounds=5).rounds
    pin()
    prepare_engine("compiled", uses=("training", "generation"))
    print(machine())
    names = InferenceGpt(train(load_text(bundled("names.txt")), config=TrainConfig(steps=STEPS)))
    compare("names", names, N_NAMES, NAMES, rounds)
    docs = [20 * (ascii_lowercase[i:] + ascii_lowercase[:i]) for i in range(26)]
    long = InferenceGpt(train(docs, model=LONG, config=TrainConfig(steps=LONG_STEPS)))
    compare("long texts", long, N_LONG, {"q.*": TextConditions("q.*")}, rounds)
    chat = InferenceGpt(load(bundled(DEMO_MODEL)))
    prompt = chat.chat_prompt([Message("user", "what is 17 + 25?")])
    job = chat.reply_job(prompt, 20)
    grammar = regex_grammar(ALLOWED)
    masked = partial(decode_masked, chat.compiled, chat.tokenizer, grammar, job)
    n_tokens = sum(len(one.tokens) + 1 for one in finish(masked()))
    times = in_turns(
        {
            "free": lambda: [list(chat.reply(prompt, seed=seed)) for seed in range(20)],
            "masked": lambda: finish(masked()),
        },
        rounds,
    )
    speed, ratio = n_tokens / times["masked"], times["free"] / times["masked"]
    print(f"masked replies: {speed:,.0f} tokens/s, {ratio:.2f} × as fast as free ones")


def compare(
    what: str, gpt: InferenceGpt, n: int, conditions: dict[str, TextConditions], rounds: int
) -> None:
    """Print the speeds of n free texts, and of those of the same seeds that meet conditions."""
    sampling, found = Sampling(1.0), {}
    free = list(gpt.samples(n, sampling=sampling))
    calls = {"free": lambda: list(gpt.samples(n, sampling=sampling))}
    for name, wanted in conditions.items():
        job = gpt.text_job(sampling=sampling)
        n_found = len(gpt.text_filter(wanted, "", job).accepted(free))
        texts = partial(gpt.samples, sampling=sampling, conditions=wanted)
        assert list(islice(texts(), n_found)) == gpt.text_filter(wanted, "", job).accepted(free)
        found[name] = n_found
        calls[name] = lambda texts=texts, n_found=n_found: list(islice(texts(), n_found))
    times = in_turns(calls, rounds)
    print(f"{what}: {n / times['free']:,.0f} texts/s")
    for name, n_found in found.items():
        speed, ratio = n_found / times[name], times["free"] / times[name]
        print(
            f"{name}: acceptance {n_found / n:.4f}, {speed:,.0f} texts/s; seeds are tried "
            f"{ratio:.2f} × as fast as without conditions"
        )


if __name__ == "__main__":
    main()

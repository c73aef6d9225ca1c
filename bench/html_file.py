"""Measure a model in one HTML file: its size, when it appears, and how fast it generates.

    uv run python bench/html_file.py [--rounds 9]

Makes the files of Karpathy's run and of the demo model, and opens them from disk in a headless
Chromium. First paint: the time from the start of the navigation. First token: from a message until
the page shows a part of the reply. Speed: tokens of a batch of 2,000 names, beside those of the
engine of this process. Prints medians and ranges. Needs a Chromium on the PATH.
"""

import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from harness import parsed
from machine import machine
from playground import PAINT, launched
from playwright.sync_api import Browser, Page, sync_playwright

from microgpt import InferenceGpt, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_text
from microgpt.sampling import DecodeRules
from microgpt.storage.model_directory import load
from microgpt_serve.html_file import joined
from microgpt_serve.served_model import served_model

N_SAMPLES = 2000
FIRST_TOKEN = """async (text) => {
    const turns = document.getElementById("turns");
    const n = turns.children.length;
    document.getElementById("message").value = text;
    const started = performance.now();
    document.getElementById("say").requestSubmit();
    await new Promise((resolve) => {
        const look = () => turns.children[n + 1]?.querySelector(".said").textContent && resolve();
        new MutationObserver(look).observe(turns, { childList: true, subtree: true });
    });
    return performance.now() - started;
}"""
# Runs the engine of the file in the page, without its limit of 50 samples.
DECODE = """async (args) => {
    SCRIPT
    const [n, rounds] = args;
    const text = atob(document.getElementById("model-data").textContent);
    const packed = new Blob([Uint8Array.from(text, (char) => char.charCodeAt(0))]).stream();
    const stream = packed.pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    let at = bytes.indexOf(10);
    const facts = JSON.parse(new TextDecoder().decode(bytes.subarray(0, at++)));
    const parts = {};
    for (const [name, size] of Object.entries(facts.sizes)) {
        parts[name] = bytes.slice(at, (at += size));
    }
    const model = new module_local_model_js.LocalModel({ ...facts, parts });
    const bos = facts.model.vocab_size - 1;
    const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0 };
    const rules = { stop: [bos], forbidden: [], minTokens: 0, maxTokens: null, sampling };
    const [prompts, found] = [Array.from({ length: n }, () => [bos]), []];
    for (let i = 0; i <= rounds; i++) {
        const start = model.memory.end;
        const started = performance.now();
        const seeds = prompts.map((_, j) => BigInt(i * n + j));
        const { drawUniforms } = module_local_mersenne_twister_js;
        const fill = (uniforms, count) => drawUniforms(model.memory, seeds, uniforms, count);
        const decoder = new module_local_decoder_js.Decoder(model, prompts, rules, fill);
        while (decoder.run());
        const nTokens = decoder.take().reduce((sum, { tokens }) => sum + tokens.length + 1, 0);
        found.push((1000 * nTokens) / (performance.now() - started));
        model.memory.release(start);
    }
    return found.slice(1);
}""".replace("SCRIPT", joined("local/engine.js"))


def main() -> None:
    """Measure the files and print the results."""
    rounds = parsed(__doc__, rounds=9).rounds
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        names = train(load_text(bundled("names.txt")))
        save(names, f"{folder}/names")
        browser = launched(playwright)
        print(f"{machine()}; Chromium {browser.version}; median (range) of {rounds}")
        for name, path in (("names", Path(folder, "names")), ("demo", bundled(DEMO_MODEL))):
            page = served_model(load(path), path, print).html
            file = Path(folder, f"{name}.html")
            file.write_bytes(page)
            print(f"{name}: {len(page) / 1000:.0f} kB")
            show("first paint, ms", [first_paint(browser, file) for _ in range(rounds)])
            if name == "demo":
                show("first token, ms", first_tokens(browser, file, rounds))
            else:
                show("tokens per second", decoded(browser, file, rounds))
                show("tokens per second, in Python", decoded_here(InferenceGpt(names), rounds))
        browser.close()


def show(name: str, values: list[float]) -> None:
    middle = statistics.median(values)
    print(f"  {name}: {middle:,.0f} ({min(values):,.0f} to {max(values):,.0f})")


def first_paint(browser: Browser, file: Path) -> float:
    """Return the time to the first contentful paint, in milliseconds."""
    page = opened(browser, file)
    while not (found := page.evaluate(PAINT)):
        page.wait_for_timeout(10)
    page.close()
    return float(found)


def first_tokens(browser: Browser, file: Path, rounds: int) -> list[float]:
    """Return the times to the first token of a reply, in milliseconds."""
    page = opened(browser, file)
    page.wait_for_selector("#message")
    found = []
    for n in range(rounds):
        found.append(page.evaluate(FIRST_TOKEN, "what is 3 plus 4?"))
        page.wait_for_selector(f"#turns .tools >> nth={2 * n + 1}")
    page.close()
    return found


def decoded(browser: Browser, file: Path, rounds: int) -> list[float]:
    """Return the tokens per second in the page."""
    page = opened(browser, file)
    found: list[float] = page.evaluate(DECODE, [N_SAMPLES, rounds])
    page.close()
    return found


def decoded_here(gpt: InferenceGpt, rounds: int) -> list[float]:
    """Return the tokens per second of the engine of this process, on one thread."""
    rules = DecodeRules((gpt.tokenizer.bos_id,), sampling=Sampling(1.0))
    prompts, found = [[gpt.tokenizer.bos_id]] * N_SAMPLES, []
    for i in range(rounds + 1):
        started = perf_counter()
        seeds = range(i * N_SAMPLES, (i + 1) * N_SAMPLES)
        n_tokens = sum(len(one) + 1 for one in gpt.compiled.decode_many(prompts, seeds, rules))
        found.append(n_tokens / (perf_counter() - started))
    return found[1:]


def opened(browser: Browser, file: Path) -> Page:
    page = browser.new_page()
    page.goto(file.as_uri())
    return page


if __name__ == "__main__":
    main()

"""Measure a model in one HTML file: size, time to first paint, speed of generation and training.

    uv run python bench/html_file.py [--rounds 9]

Writes the files of Karpathy's run and of the demo model, and opens them from disk in a headless
Chromium. First paint: the time since the start of the navigation. First token: the time from a
message until the page shows a part of the reply. Speed: tokens per second of a batch of 2,000
names, compared with the engine in this process. Training: the time of Karpathy's run in the page,
from the start to the twenty names, at full speed; and the processor time of the longest task of the
main thread during the run, also at 100 steps per second. Prints medians and ranges. Needs a
Chromium on the PATH.
"""

import json
import re
import shutil
import statistics
import tempfile
from pathlib import Path
from time import perf_counter

from harness import parsed
from machine import machine
from playwright.sync_api import Browser, Page, sync_playwright

from microgpt import InferenceGpt, save, train
from microgpt.config import Sampling
from microgpt.data.documents import DEMO_MODEL, bundled, load_text
from microgpt.sampling import DecodeRules
from microgpt.storage.model_directory import load
from microgpt_page.document import joined
from microgpt_page.file_to_give import file_to_give

N_SAMPLES = 2000
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
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
    const unpacked = async (id) => {
        const text = atob(document.getElementById(id).textContent);
        const packed = new Blob([Uint8Array.from(text, (char) => char.charCodeAt(0))]).stream();
        const stream = packed.pipeThrough(new DecompressionStream("deflate"));
        const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
        return module_engine_file_js.unpacked(bytes);
    };
    const [kernels, found] = [await unpacked("engine-data"), await unpacked("model-data")];
    const file = { ...kernels, ...found, parts: { ...kernels.parts, ...found.parts } };
    const model = new module_engine_model_js.Model(file);
    const bos = file.model.vocab_size - 1;
    const sampling = { temperature: 1, topK: 0 };
    const rules = { stop: [bos], forbidden: [], minTokens: 0, maxTokens: null, sampling };
    const [prompts, speeds] = [Array.from({ length: n }, () => [bos]), []];
    for (let i = 0; i <= rounds; i++) {
        const start = model.memory.end;
        const started = performance.now();
        const seeds = prompts.map((_, j) => BigInt(i * n + j));
        const { drawUniforms } = module_engine_mersenne_twister_js;
        const fill = (uniforms, count) => drawUniforms(model.memory, seeds, uniforms, count);
        const decoder = new module_engine_decoder_js.Decoder(model, prompts, rules, fill);
        while (decoder.run());
        const nTokens = decoder.take().reduce((sum, { tokens }) => sum + tokens.length + 1, 0);
        speeds.push((1000 * nTokens) / (performance.now() - started));
        model.memory.end = start;
    }
    return speeds.slice(1);
}""".replace("SCRIPT", joined("engine/worker.js"))


TRAIN = """async (isFull) => {
    const byId = (id) => document.getElementById(id);
    const until = async (test) => {
        while (!test()) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    if (isFull) byId("train-speed").value = byId("train-speed").max;
    byId("train-speed").dispatchEvent(new Event("input"));
    const started = performance.now();
    byId("plan-start").click();
    await until(() => byId("train-end").textContent);
    await until(() => document.querySelectorAll("#train-samples [aria-current] .said")[19]);
    return performance.now() - started;
}"""
NAMES = re.compile(rb'<script type="text/plain" id="names-data">.*?</script>\n')


def main() -> None:
    """Measure the files and print the results."""
    rounds = parsed(__doc__, rounds=9).rounds
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        names = train(load_text(bundled("names.txt")))
        save(names, f"{folder}/names")
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program)
        print(f"{machine()}; Chromium {browser.version}; median (range) of {rounds}")
        for name, path in (("names", Path(folder, "names")), ("demo", bundled(DEMO_MODEL))):
            page = file_to_give(load(path), name)
            file = Path(folder, f"{name}.html")
            file.write_bytes(page)
            without = len(NAMES.sub(b"", page))
            print(f"{name}: {len(page) / 1000:.0f} kB, {without / 1000:.0f} kB without the names")
            show("first paint, ms", [first_paint(browser, file) for _ in range(rounds)])
            if name == "demo":
                show("first token, ms", first_tokens(browser, file, rounds))
            else:
                show("tokens per second", decoded(browser, file, rounds))
                show("tokens per second, in Python", decoded_here(InferenceGpt(names), rounds))
                found = [trained(browser, file, is_full=True) for _ in range(rounds)]
                show("Karpathy's run in the page, ms", [spent for spent, _ in found])
                show("its longest task, processor ms", [longest for _, longest in found])
                found = [trained(browser, file, is_full=False) for _ in range(2)]
                show("the same at 100 steps per second", [longest for _, longest in found])
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
        n_tokens = sum(len(one) + 1 for one in gpt.engine_model.decode_many(prompts, seeds, rules))
        found.append(n_tokens / (perf_counter() - started))
    return found[1:]


def trained(browser: Browser, file: Path, *, is_full: bool) -> tuple[float, float]:
    """Return the time of a training run in the page, and its longest task, in milliseconds."""
    page = opened(browser, file, "#/train")
    page.wait_for_selector("#texts-about:not(:empty)", state="attached")
    browser.start_tracing(page=page, categories=["toplevel"])
    spent = page.evaluate(TRAIN, is_full)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.close()
    names = {
        (each["pid"], each["tid"]): each["args"]["name"]
        for each in events
        if each["name"] == "thread_name"
    }
    main = (each for each in events if names.get((each["pid"], each["tid"])) == "CrRendererMain")
    return spent, max(each.get("tdur", 0) / 1000 for each in main)


def opened(browser: Browser, file: Path, view: str = "") -> Page:
    page = browser.new_page()
    page.goto(file.as_uri() + view)
    return page


if __name__ == "__main__":
    main()

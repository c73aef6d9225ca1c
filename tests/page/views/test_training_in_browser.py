"""Tests of the view "Train" in Chromium and in Firefox."""

import base64
import itertools
import json
import re
import statistics
from collections.abc import Callable
from typing import Any

import commands
import pytest
from page_in_browser import SAME
from pages import UNTIL, Open

from microgpt import load_text
from microgpt.data.documents import bundled

pytestmark = pytest.mark.slow

# JavaScript that records the messages from workers, and the files that the page saves.
BEFORE = """
    const Channel = MessageChannel;
    window.sent = [];
    window.MessageChannel = function () {
        const made = new Channel();
        const keep = ({ data }) => data.value?.losses && sent.push(data.value);
        made.port1.addEventListener("message", keep);
        return made;
    };
    const make = URL.createObjectURL;
    window.saved = [];
    URL.createObjectURL = (blob) => {
        saved.push(blob);
        return make.call(URL, blob);
    };
"""
TOOLS = (
    UNTIL
    + """
    const text = (id) => byId(id).textContent;
    const set = (id, value) => {
        byId(id).value = value;
        for (const kind of ["input", "change"]) byId(id).dispatchEvent(new Event(kind));
    };
    const full = () => set("train-speed", byId("train-speed").max);
    const shown = (id) => text(id) || (!byId("train-problem").hidden && text("train-problem"));
    const read = () => until(() => shown("texts-about"));
    const ended = () => until(() => shown("train-end"));
    const trained = async () => {
        byId("train-end").textContent = "";
        byId("plan-start").click();
        return ended();
    };
    const paste = async (pasted) => {
        byId("texts-about").textContent = "";
        set("texts-source", "paste");
        set("texts-pasted", pasted);
        return read();
    };
    const choose = async (content, name) => {
        byId("texts-about").textContent = "";
        const files = new DataTransfer();
        files.items.add(new File([content], name));
        byId("texts-source").value = "file";
        byId("texts-file").files = files.files;
        byId("texts-file").dispatchEvent(new Event("change"));
        return read();
    };
    const losses = () => {
        const found = [];
        for (const { step, losses: some } of sent) {
            some.forEach((loss, i) => (found[step - some.length + i] = loss));
        }
        return found;
    };
    const names = () => until(() => {
        const found = texts("#train-samples li[aria-current] .said");
        return found.length === 20 && found;
    });
    const base64 = async (blob) => {
        const bytes = new Uint8Array(await blob.arrayBuffer());
        return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    };
    await until(() => !byId("train").hidden);
    full();
"""
)


@pytest.fixture
def train_view(names, opened: Open) -> Callable[..., Any]:
    """The view "Train" in each browser, with a record of worker messages and saved files."""
    run = opened(names, "#/train")
    run(BEFORE)
    return run


def test_karpathys_run_equals_his_script_also_after_a_rewind(train_view, golden) -> None:
    script = f"""{TOOLS}
        await read();
        const first = [await trained(), losses(), await names()];
        sent.length = 0;
        byId("train-end").textContent = "";
        document.querySelector("#train-samples button[value='500']").click();
        const rewound = await ended();
        byId("train-end").textContent = "";
        byId("train-step").click();
        const paused = await ended();
        await until(() => byId("train-pause").textContent === "Continue");
        byId("train-end").textContent = "";
        byId("train-pause").click();
        return [first, [rewound, paused], [await ended(), losses().slice(500), await names()]];
    """
    first, stops, last = train_view(script)
    losses = first[1]
    assert losses == pytest.approx(golden["losses"], abs=1e-3)
    mean = f"{statistics.fmean(losses[-20:]):.3f}"
    assert f"The mean loss of the last 20 steps is {mean}, " in first[0]
    assert stops == ["The model is that of step 500.", "Paused at step 501."]
    assert first[0].endswith("2.6497.")
    assert first[2] == golden["samples"]
    assert last == [first[0], losses[500:], golden["samples"]]


SAVE = f"""{TOOLS}
    await read();
    await trained();
    saved.length = 0;
    byId("save-page").click();
    await until(() => text("saved").startsWith("Saved as names.html"));
    return base64(saved[0]);
"""
GENERATE = f"""{UNTIL}
    await until(() => texts("#samples li")[9]);
    return [texts("#samples .said"), byId("model").textContent];
"""


def test_a_saved_page_has_the_model_that_python_trains(train_view, opened, tmp_path) -> None:
    page = base64.b64decode(train_view(SAVE))
    model = tmp_path / "names"
    commands.run_process([commands.COMMAND, "train", "--model", model], env=SAME, check=True)
    command = [commands.COMMAND, "generate", "--model", model, "-n", "10", "--json"]
    out = commands.run_process(command, env=SAME, check=True).stdout
    (tmp_path / "names.html").write_bytes(page)
    texts, about = opened(tmp_path / "names.html", "#/generate?number=10&seed=42")(GENERATE)
    assert texts == json.loads(out)["samples"]
    shape = "4,192 weights, 1 layer, 4 heads"
    assert about == f"The trained model “names”: {shape}, trained at a learning rate of 0.01"
    assert b"with 4,192 weights in single precision (float32)" in page


def test_the_labels_of_the_map_of_tokens_do_not_overlap(train_view) -> None:
    script = f"""{TOOLS}
        const drawn = [];
        const {{ fillText }} = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {{
            if (this.canvas.closest("#embedding-map")) drawn.push(place);
            return fillText.call(this, text, ...place);
        }};
        await trained();
        drawn.length = 0;
        set("train-moment", 3);
        await until(() => drawn.length >= 27);
        return drawn.slice(-27);
    """
    for (x, y), (other_x, other_y) in itertools.combinations(train_view(script), 2):
        assert abs(x - other_x) > 9 or abs(y - other_y) > 12  # a letter is 9 by 12 px


def test_a_page_trains_by_itself_on_one_screen_unless_hidden(names, chromium, page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    run = chromium(names)
    hide = """Object.defineProperty(document, "hidden", { value: args[0], configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));"""
    tools = TOOLS.rstrip().removesuffix("full();")
    first, last = run(f"""{tools}
        const show = (...args) => {{ {hide} }};
        const step = () => Number(text("train-about").match(/^Step ([0-9]+)/)?.[1]);
        await until(() => step() > 20 && texts("#train-maps canvas").length === 4);
        show(true);
        await until(() => text("train-pause") === "Continue");
        const paused = step();
        await new Promise((resolve) => setTimeout(resolve, 200));
        const ends = [...document.querySelectorAll("#training canvas, #train-samples")].map(
            (each) => each.getBoundingClientRect().bottom);
        const found = [paused === step(), text("train-end"), Math.max(...ends) <= innerHeight];
        show(false);
        full();
        return [found, await ended()];
    """)
    assert first == [True, "", True]
    assert last.endswith("2.6497.")


def test_generate_uses_the_pages_own_model_after_a_training(names, names_gpt, page) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(names.as_uri())  # without animation, the page shows the end of the run
    page.wait_for_selector("#train-end >> text=2.6497")
    page.click("nav >> text=Generate")
    page.go_back()
    page.go_forward()
    page.goto(f"{names.as_uri()}#/generate?number=4&seed=42")
    page.wait_for_selector("#samples li >> nth=3")
    assert page.locator("#samples .said").all_inner_texts() == names_gpt.generate(4, seed=42)


def test_the_page_shows_that_a_model_of_few_names_overfits(names, chromium) -> None:
    script = f"""{TOOLS}
        await paste(args[0]);
        set("plan-validation", byId("plan-validation").max);
        const end = await trained();
        return [end, texts("#train-samples li:first-child .known").length];
    """
    texts = "\n".join(list(load_text(bundled("names.txt")))[:30])
    end, n_copies = chromium(names, "#/train")(script, texts)
    assert re.search(r"The held-out loss was lowest at step [1-9]\d{0,2}, with \d", end)
    assert "since then, the model overfits." in end
    assert n_copies > 10


def test_only_a_clear_rise_in_held_out_loss_means_overfitting(names, chromium) -> None:
    script = f"""
        let rise = 0;
        const Channel = MessageChannel;
        window.MessageChannel = function () {{
            const made = new Channel();
            made.port1.addEventListener("message", ({{ data }}) => {{
                for (const each of data.value?.moments ?? []) each.heldOut = 2 + rise * each.step;
            }});
            return made;
        }};
        {TOOLS}
        const ends = [];
        for (const margin of [0.009, 0.011]) {{
            rise = margin / 1000;
            ends.push(await trained());
        }}
        return ends;
    """
    noise, clear = chromium(names, "#/train")(script)
    assert "overfits" not in noise
    assert "since then, the model overfits" in clear


PROBLEMS = {
    "choose(new Uint8Array(9.5e6), 'big.txt')": (
        "The file has 9.5 MB; at most 8 MB are allowed. Use a part of it."
    ),
    "(set('texts-source', 'paste'), trained())": (
        "There are no texts to train on. Choose some above."
    ),
}


def test_training_succeeds_after_each_reported_problem(names, chromium) -> None:
    found = chromium(names, "#/train")(
        f"""{TOOLS}
        await read();
        const found = [];
        for (const fail of [{", ".join(f"() => {script}" for script in PROBLEMS)}]) {{
            found.push(await fail());
            set("texts-source", "names");
            byId("plan-default").click();
            found.push((await trained()).slice(-7));
        }}
        return found;
        """
    )
    assert found[::2] == [*PROBLEMS.values()]
    assert found[1::2] == ["2.6497.", "2.6497."]


def test_a_training_worker_that_dies_is_replaced(train_view, golden) -> None:
    script = f"""{TOOLS}
        full();
        await ended(); // of the training that begins by itself
        const post = Worker.prototype.postMessage;
        let worker;
        Worker.prototype.postMessage = function (...all) {{
            if (all[0]?.name === "train") worker = this;
            post.call(this, ...all);
        }};
        const [tick, found] = [setInterval, []];
        for (const die of [() => worker.onerror(new Event("error")), () => worker.terminate()]) {{
            window.setInterval = (action, ms) => tick(action, ms / 20);
            set("train-speed", 3);
            byId("plan-start").click();
            await until(() => text("train-about").startsWith("Step 2 "));
            die();
            found.push(await ended());
            window.setInterval = tick;
            full();
            found.push((await trained()).slice(-7), await names());
        }}
        return found;
    """
    found = train_view(script)
    for problem, end, names in (found[:3], found[3:]):
        assert problem.startswith("The training has stopped; perhaps the browser lacks memory.")
        assert (end, names) == ("2.6497.", golden["samples"])

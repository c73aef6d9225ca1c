"""Tests of the view "Look inside" in Chromium."""

import math
import operator
import re
import statistics
from typing import Any, get_args

import pytest
from explained_by_reference import Inside, Text, ablations, backward, changed
from page_in_browser import READ, bars, document_of, opened, until

from microgpt import Architecture, InferenceGpt, Message, ModelConfig, TrainConfig, load
from microgpt.surprise import explain
from microgpt.training.train import train

pytestmark = pytest.mark.slow

# JavaScript that is true if the calculation shows the selected number, and it is not the first.
FOLLOWS = """(() => {
    const text = (id) => document.getElementById(id).innerText.replaceAll("−", "-");
    const numbers = (id) => (text(id).match(/-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?/g) ?? []).map(Number);
    const [value] = numbers("number-value");
    const isThere = numbers("sum").some((number) => Math.abs(number - value) < 2e-3);
    return isThere && !/ 1:/.test(text("number-name"));
})()"""


@pytest.fixture(scope="module")
def names_model(names_dir) -> Any:
    return load(names_dir)


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def nats(bits: float) -> str:
    return f"{bits * math.log(2):.2f} nats ({bits:.2f} bits)"


WEIGHT = re.compile(r"Row (\d+), column (\d+) of ([\w.]+),")
EFFECT = "document.getElementById('effect').innerText.includes('{} now.')"


def test_bars_and_draws_follow_position_temperature_and_top_k(names, names_gpt, page) -> None:
    opened(page, names, "inside", text="anna", at=2)
    now = explain(names_gpt, "anna", n_alternatives=names_gpt.config.vocab_size).predictions
    label = {"<|bos|>": "end"}

    def expected(at: int, temperature: float = 1.0, k: int = 99) -> dict[str, float]:
        best = now[at].alternatives[:k]
        powers = [math.pow(one.probability, 1 / temperature) for one in best]
        shares = [power / sum(powers) for power in powers]
        return {label.get(b.text, b.text): p for b, p in zip(best, shares, strict=True)}

    def check(wanted: dict[str, float]) -> None:
        found = bars(page)
        found.pop("others", None)
        for name, share in found.items():
            assert share == pytest.approx(wanted.get(name, 0), abs=1e-5)

    check(expected(2))
    assert page.inner_text("#bars tr.came th") == now[2].text
    page.click("#diagram [value=probabilities] > span:first-child")
    for temperature in (1, 0.5):  # 1: before the slider is moved
        if temperature != 1:
            page.locator("#bar-temperature").fill(str(temperature))
        check(expected(2, temperature))
        told = percent(max(expected(2, temperature).values()))
        until(page, f"document.getElementById('number-value').innerText === '{told}'")
    assert "divided by temperature 0.50" in page.inner_text("#sum")
    page.locator("#bar-top-k").fill("3")
    check(expected(2, 0.5, 3))
    assert page.inner_text("#draw") == "Draw from here"
    page.focus("#positions")
    page.keyboard.press("ArrowLeft")
    until(page, "location.hash.includes('at=1')")
    check(expected(1, 0.5, 3))
    assert f"What came is “{now[1].text}”" in page.inner_text("#sentence")
    page.keyboard.press("End")
    page.locator("#bar-top-k").fill("1")
    likeliest = now[4].alternatives[0].text
    bars(page)
    page.click("#draw")
    end = "" if likeliest == "<|bos|>" else likeliest
    until(page, f"document.getElementById('text').value === 'anna{end}'")


def test_look_inside_says_what_a_model_cannot_read_or_continue(names, names_gpt, page) -> None:
    opened(page, names, "inside", text="xyz!")
    page.wait_for_selector("#unreadable:not([hidden])")
    assert page.inner_text("#unreadable").startswith("The model does not know “xyz!”")
    assert page.is_hidden("#explained")
    page.fill("#text", "Anna")
    until(page, f"{READ} === 'startanna'")
    assert page.inner_text("#instead").endswith("know “A”: it reads “anna” instead.")
    page.fill("#text", "Anna-z")
    until(
        page,
        "document.getElementById('instead').innerText.includes('“A”, “-”, “z”: it reads “anna”')",
    )
    assert page.input_value("#text") == "Anna-z"
    page.fill("#text", "anna" * 5)
    until(page, "document.getElementById('cut').innerText.includes('21 tokens')")
    assert page.locator("#positions .token").count() == names_gpt.config.block_size
    until(page, "document.getElementById('drawn').innerText.includes('16 tokens is full. Choose')")
    assert page.is_disabled("#draw")


def test_attention_maps_are_labelled_with_letters_or_positions(names, talk, page) -> None:
    page.add_init_script("""
        window.written = new Set();
        const { fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
            if (this.canvas.closest("#maps")) written.add(String(text));
            return fillText.call(this, text, ...place);
        };
    """)
    opened(page, names, "inside", text="olivianoahsofia")
    until(page, "[...'olivianoahsofia'].every((letter) => written.has(letter))")
    opened(page, talk, "inside", question="hi there " * 3, text="yo man")
    until(page, "['0', '10', '20'].every((position) => written.has(position))")


def test_on_a_phone_the_tour_does_not_cover_the_element_that_it_describes(names, page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    shown = ("#positions", "#sum", "#maps", "[value='layer0.hidden']", "#bars", "#make-step")
    for stop, what in enumerate(shown, start=1):
        opened(page, names, "inside", tour=stop)
        box = "document.getElementById('stop-of-tour').getBoundingClientRect()"
        place = f'document.querySelector("{what}").getBoundingClientRect()'
        until(page, f"{place}.height && {place}.top >= 0 && {place}.bottom <= {box}.top + 1")


def test_drawing_after_the_end_of_a_text_starts_a_new_text(names, page) -> None:
    opened(page, names, "inside", text="anna")
    page.evaluate("Math.random = () => 0.9999999")  # draws the last token ID, which ends the text
    bars(page)
    page.click("#draw")
    page.wait_for_selector("#drawn >> text=so the text has ended. Start again")
    assert page.inner_text("#draw") == "Start again"
    page.click("#draw")
    until(page, f"{READ} === 'start'")
    bars(page)
    assert page.inner_text("#draw") == "Draw the next token"
    page.evaluate("Math.random = () => 0")
    page.click("#draw")
    until(page, f"{READ} === 'starta'")


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Any:
    """The page of a model whose vocabulary contains all letters of the tour's text."""
    model, config = ModelConfig(architecture="karpathy"), TrainConfig(steps=100)
    result = train(["mariah", "anna"], model=model, config=config)
    return document_of(result, tmp_path_factory.mktemp("told") / "told")


def test_the_tour_resets_the_view_and_restores_it_at_its_end(told, page) -> None:
    at_a = "document.getElementById('position-5')?.ariaSelected === 'true'"
    opened(page, told, "inside", text="anna", at=2, temperature=0.5, step="logits")
    bars(page)
    page.click("#tour")
    until(page, f"{READ} === 'startmariah' && {at_a}")
    assert page.inner_text("#bar-temperature-value") == "1.00"
    page.locator("#bar-temperature").fill("2")
    page.click("#position-1")
    page.click("#parts button >> nth=0")
    until(page, "location.hash.includes('without-head=0.0')")
    bars(page)
    page.click("#draw")
    until(page, f"{READ}.startsWith('startm') && {READ}.length === 7")
    page.click("#stop-after")
    until(page, f"{READ} === 'startmariah' && {at_a}")
    assert page.inner_text("#bar-temperature-value") == "1.00"
    page.wait_for_selector("#changed", state="hidden")
    page.click("#tour")  # ends the tour
    until(page, f"{READ} === 'startanna' && location.hash.includes('step=logits')")
    assert page.inner_text("#positions [aria-selected=true]") == "n"
    assert page.inner_text("#bar-temperature-value") == "0.50"
    page.click("#tour")
    until(page, f"{READ} === 'startmariah'")
    page.fill("#text", "hannah")  # the reader's text, kept during the tour
    until(page, f"{READ} === 'starthannah'")
    page.click("#stop-after")
    until(page, f"{READ} === 'startmariah' && {at_a}")
    page.click("#tour")
    until(page, f"{READ} === 'starthannah'")


def test_a_link_to_a_stop_of_the_tour_keeps_text_and_position(told, page) -> None:
    opened(page, told, "inside", text="anna", at=2, tour=2)
    for stop in (3, 4):
        page.wait_for_selector("#position-2[aria-selected=true]")
        page.click("#position-4")
        page.click("#stop-after")
        until(page, f"document.getElementById('stop-count').innerText === '{stop} of 6'")
    page.wait_for_selector("#position-2[aria-selected=true]")
    assert page.evaluate(READ) == "startanna"


def test_a_masked_attention_cell_is_explained_but_not_selectable(names, page) -> None:
    opened(page, names, "inside", text="anna", at=1)
    page.wait_for_selector("#maps .map >> nth=3")
    page.locator("#maps .map >> nth=0").focus()
    page.keyboard.press("ArrowUp")
    until(page, "document.getElementById('attended').innerText.includes('cannot see later tokens')")
    assert "position 3, “n”, " in page.inner_text("#attended")
    page.keyboard.press("Enter")
    box = page.locator("#maps .map canvas >> nth=0").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    page.wait_for_timeout(100)
    assert page.get_attribute("#position-1", "aria-selected") == "true"
    assert page.inner_text("#step-title") == "Embedding"


def test_effects_of_heads_and_mlps_are_hidden_if_there_is_no_reply(talk, page) -> None:
    opened(page, talk, "inside", question="hi there", text="")
    page.wait_for_selector("#parts button", state="attached")
    assert page.is_hidden("#parts")
    page.fill("#text", "yo")
    page.wait_for_selector("#parts")
    assert "NaN" not in page.inner_text("#parts")


def test_drawing_a_subword_keeps_the_text_before_it(subword, subword_gpt, page) -> None:
    tokenizer = subword_gpt.tokenizer
    talked = [Message("user", "hi"), Message("assistant", "naïve 😀 x")]

    def draw(token: int, at: int = -1) -> None:
        found = explain(subword_gpt, talked, n_alternatives=999).predictions[at]
        share = {one.token: one.probability for one in found.alternatives}
        below = sum(share[other] for other in range(token))
        page.evaluate(f"Math.random = () => {below + share[token] / 2}")
        bars(page)
        page.click("#draw")

    opened(page, subword, "inside", question="hi", text="naïve 😀 x")
    draw(tokenizer.encode("é")[0])
    page.wait_for_selector("text=a part of a character")
    assert page.input_value("#text") == "naïve 😀 x"
    draw(tokenizer.encode("y")[0])
    until(page, "document.getElementById('text').value === 'naïve 😀 xy'")
    page.fill("#text", "naïve 😀 x")
    until(page, "document.getElementById('positions').lastChild.textContent === 'x'")
    bars(page)  # waits until the prediction is shown
    page.locator("#positions .token", has_text="bytes:\\xc3").click()
    page.wait_for_selector("#positions [aria-selected=true]:has-text('xc3')")
    at = len(subword_gpt.chat_prompt(talked[:1]).tokens) + 2
    draw(tokenizer.encode("é")[1], at)
    until(page, "document.getElementById('text').value === 'naé'")


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_activations_equal_pythons_and_match_the_shown_sums(architecture, page, tmp_path) -> None:
    talked = [Message("user", "hi there"), Message("assistant", "yo")]
    model = ModelConfig(block_size=48, architecture=architecture)
    result = train([talked], model=model, config=TrainConfig(steps=20))
    talk, talk_model = document_of(result, tmp_path / "talk"), load(tmp_path / "talk")
    opened(page, talk, "inside", question="hi there", text="yo", layer=0)
    activations = Inside(talk_model, Text.from_document(talk_model, talked)).at(-1)
    page.wait_for_selector("#maps .map >> nth=1")
    page.locator("#maps .map >> nth=1").focus()
    page.keyboard.press("ArrowLeft")
    row = activations["layer0.attention"][1]
    until(
        page,
        "/^Head 2.* position "
        f"{len(row) - 2}\\.$/.test(document.getElementById('attended').innerText)",
    )
    weights = page.locator("#positions .token").evaluate_all(
        "all => all.map(one => Number(getComputedStyle(one).getPropertyValue('--share')))"
    )
    assert weights == pytest.approx(row, abs=1e-6)
    names = page.locator("#diagram button").evaluate_all("all => all.map(one => one.value)")
    steps = {re.sub(r" \d+$", "", name) for name in names}  # removes the head's number from a name
    assert sorted(steps) == sorted([*activations, "probabilities"])
    page.focus("#diagram [aria-pressed=true]")
    for name in names:  # each number is calculated from earlier numbers
        assert page.locator("#diagram button:focus").get_attribute("value") == name
        page.keyboard.press("ArrowDown")
        until(page, FOLLOWS)
        if " " not in name and name in activations:
            value = float(page.inner_text("#number-value").replace("−", "-"))
            found = re.search(r"(?:number|unit) (\d+):", page.inner_text("#number-name"))
            wanted = activations[name][int(found[1]) - 1 :][:1] if found else activations[name]
            assert any(value == pytest.approx(each, abs=1e-3) for each in wanted), name
        assert architecture != "karpathy" or "architecture" not in page.inner_text("#sum")
        page.keyboard.press("ArrowRight")
    until(page, "location.hash.includes('step=probabilities')")


def test_switching_heads_or_mlps_updates_loss_diagram_and_link(names, names_model, page) -> None:
    def shown(*, without_mlp: bool) -> None:
        body = {"without_heads": [(0, 1)], "without_mlps": [0] if without_mlp else []}
        now = explain(InferenceGpt(changed(names_model, body)), "anna")
        until(page, EFFECT.format(nats(now.bits)))
        text = page.inner_text("#effect")
        before = explain(InferenceGpt(names_model), "anna")
        assert f"{nats(before.bits)} before" in text
        assert f"is {percent(now.predictions[-1].probability)}." in text  # [-1] is the end token

    opened(page, names, "inside", text="anna", step="layer0.query")
    page.wait_for_selector("#number-value:not(:empty)", state="attached")
    assert page.is_hidden("#changed")
    page.click("#switches label:has-text('head 2') input")
    shown(without_mlp=False)
    page.click("#diagram button[value='layer0.hidden']")
    page.click("#switches input")
    shown(without_mlp=True)
    until(page, "document.getElementById('plain').innerText.startsWith('It is switched off')")
    until(page, "document.getElementById('sum').innerText.endsWith('nothing of it is added.')")
    off = "document.querySelectorAll('#diagram .off').length"
    until(page, f"{off} === 1 + 3")  # one button for the head, three for the MLP
    assert page.locator("#diagram .off").first.inner_text() == "head 2"
    until(page, "/without-head=0.1.*without-mlp=0/.test(location.hash)")
    page.reload()  # the address keeps the changes
    shown(without_mlp=True)
    page.click("text=without the MLP of layer 1 ✕")
    shown(without_mlp=False)
    page.click("#switch-all-on")
    page.wait_for_selector("#changed", state="hidden")


def test_the_heads_table_shows_attention_and_effects_of_heads(names, names_model, page) -> None:
    text = Text.from_document(names_model, "anna")
    attention = Inside(names_model, text).at(2)["layer0.attention"]
    opened(page, names, "inside", text="anna", at=2, step="layer0.heads")
    until(page, "document.getElementById('heads').innerText.includes('→')")
    rows = page.locator("#heads tbody tr")
    parts = ablations(names_model, text, 2)[:5]  # heads of the first layer, then all heads
    assert rows.count() == len(parts)
    for i, part in enumerate(parts):
        cells = rows.nth(i).locator("td").all_inner_texts()
        came = part["came"]
        change = f"{percent(came['probability'])} → {percent(came['without'])}"
        assert cells[-1].startswith(f"n {change}")
        if part["head"] != "all":
            letters = zip(["start", "a", "n"], attention[part["head"]], strict=True)
            wanted = [f"{letter}{percent(share)}" for letter, share in letters]
            assert "".join(cells[0].split("\n")) == "".join(wanted)


def test_a_button_switches_all_heads_of_a_layer_off_and_on(names, names_model, page) -> None:
    heads = "#parts button >> text=all heads of layer 1"
    opened(page, names, "inside", text="anna")
    page.wait_for_selector(heads)
    page.focus(heads)
    assert page.get_attribute(heads, "aria-pressed") == "false"
    page.keyboard.press("Enter")
    body = {"without_heads": [(0, head) for head in range(4)]}
    until(page, EFFECT.format(nats(explain(InferenceGpt(changed(names_model, body)), "anna").bits)))
    page.wait_for_selector("#parts button[aria-pressed=true] >> text=head 3 of layer 1")
    pressed = page.locator("#parts button[aria-pressed=true]").all_inner_texts()
    assert pressed == [
        f"{each} of layer 1" for each in ("head 1", "head 2", "head 3", "head 4", "all heads")
    ]
    assert page.evaluate("document.activeElement.innerText") == "all heads of layer 1"
    page.keyboard.press("Enter")
    page.wait_for_selector("#parts button[aria-pressed=false] >> text=all heads of layer 1")
    assert page.is_hidden("#changed")


def test_look_inside_shows_the_effect_of_each_head_and_mlp(names, names_model, page) -> None:
    text = Text.from_document(names_model, "anna")
    activations = Inside(names_model, text).at(2)
    opened(page, names, "inside", text="anna", at=2, step="layer0.attention 1")
    until(page, "document.getElementById('plain').innerText.includes('Switched off:')")
    assert page.inner_text("#step-title") == "Head 2, layer 1"
    assert page.locator("#diagram [aria-pressed=true]").all_inner_texts() == ["head 2"]
    row = activations["layer0.attention"][1]
    assert f"{100 * max(row):.0f} %" in page.inner_text("#plain")
    parts = ablations(names_model, text, 2)
    rows = page.locator("#parts tbody tr").all_inner_texts()
    name, loss, bits = rows[0].split("\t")[:3]
    assert (name, bits) == ("as it is now", nats(parts[0]["bits"]))
    gpt = InferenceGpt(names_model)
    texts = gpt.generate(50, temperature=1, max_tokens=16)
    losses = [each.bits for text in texts for each in explain(gpt, text).predictions[:16]]
    assert float(loss.removesuffix(" nats")) == pytest.approx(
        statistics.fmean(losses) * math.log(2), abs=1e-3
    )
    assert len(rows[1:]) == len(parts)
    for part in parts:
        layer, head = part["layer"], part["head"]
        name = {None: "the MLP", "all": "all heads"}.get(head) or f"head {head + 1}"
        row = page.locator("#parts tbody tr", has_text=f"{name} of layer {layer + 1}")
        assert nats(part["bits_without"]) in row.inner_text()
        if head == "all":
            continue
        page.select_option("#layer", index=layer)
        step = "hidden" if head is None else f"attention {head}"
        page.click(f"#diagram [value='layer{layer}.{step}'] > span:first-child")
        without, own = (percent(part["came"][name]) for name in ("without", "probability"))
        told = f"Switched off: n {own} → {without}"
        until(page, f"document.getElementById('plain').innerText.includes('{told}')")


def test_the_page_shows_the_average_attention_of_a_head(names, names_model, page) -> None:
    shares: list[list[float]] = []  # attention to a token itself, the two before it, and BOS
    for text in InferenceGpt(names_model).generate(50, temperature=1, max_tokens=16):
        inside = Inside(names_model, Text.from_document(names_model, text[:15]))
        for i in range(3, len(text[:15]) + 1):
            row = inside.at(i)["layer0.attention"][1]
            shares.append([row[i], row[i - 1], row[i - 2], row[0]])
    means = [statistics.fmean(each) for each in zip(*shares, strict=True)]
    places = ["itself", "one before", "two before", "the start"]
    most = max(range(4), key=means.__getitem__)
    told = f"On average: {places[most]} {percent(means[most])}, "
    opened(page, names, "inside", text="anna", step="layer0.attention 1")
    until(page, f"document.getElementById('plain').innerText.includes('{told}')")


def test_the_page_shows_the_mlp_output_with_and_without_attention(page, tmp_path) -> None:
    result = train(
        ["anna", "emma"], model=ModelConfig(architecture="karpathy"), config=TrainConfig(steps=100)
    )
    small, model = document_of(result, tmp_path / "small"), load(tmp_path / "small")
    text = Text.from_document(model, "anna")
    alone = changed(model, {"without_heads": [(0, head) for head in range(4)]})
    now, without = (Inside(saved, text).at(2) for saved in (model, alone))
    row = model.weights["lm_head"][model.tokenizer.encode("n")[0]]
    names = ["x", "layer0.attention_output", "layer0.mlp_output"]
    lists = [now[name] for name in names] + [without["layer0.mlp_output"]]
    own, fetched, mlp, mlp_alone = (math.fsum(map(operator.mul, row, each)) for each in lists)
    opened(page, small, "inside", text="anna", at=2, step="layer0.hidden")
    until(page, "document.getElementById('plain').innerText.includes('Of the MLP')")
    said = page.inner_text("#plain").replace("−", "-")
    figures = re.findall(r"-?[0-9]+[.][0-9]{2}(?= from| would| only)", said)
    wanted = [own, fetched, mlp, mlp_alone, mlp - mlp_alone]
    assert list(map(float, figures)) == pytest.approx(wanted, abs=0.011)


def test_the_page_says_what_activates_a_unit_and_what_it_favors(names, names_model, page) -> None:
    found = {}  # activations of all MLP units by the beginning of a text
    for text in InferenceGpt(names_model).generate(50, temperature=1, max_tokens=16):
        inside = Inside(names_model, Text.from_document(names_model, text[:15]))
        for i in range(len(text[:15]) + 1):
            found[text[:i]] = inside.at(i)["layer0.hidden"]
    unit = max(range(64), key=lambda n: max(units[n] for units in found.values()))
    opened(page, names, "inside", text="anna", step="layer0.hidden", number=unit)
    page.wait_for_selector("#unit:not(:empty)")
    assert page.inner_text("#number-name").endswith(f"unit {unit + 1}: ")
    best = max(found, key=lambda text: found[text][unit])
    said, share = page.inner_text("#unit"), sum(units[unit] > 0 for units in found.values())
    end = best if len(best) <= 3 else f"…{best[-3:]}"
    assert f"active after {percent(share / len(found))} of the tokens, most after “{end}”" in said
    weights, label = names_model.weights, names_model.tokenizer.label
    output = [row[unit] for row in weights["layer0.mlp_fc2"]]
    logits = [math.fsum(map(operator.mul, row, output)) for row in weights["lm_head"]]
    likeliest = label(logits.index(max(logits))).replace("<|bos|>", "the end token")
    assert re.search(f"makes likelier: “?{likeliest}”?,", said)


def test_the_backward_pass_goes_from_probabilities_to_embeddings(names, page) -> None:
    opened(page, names, "inside", text="anna", at=4, backward=1, step="probabilities")
    until(page, "document.getElementById('step-count').innerText.startsWith('1 of')")
    assert page.inner_text("#bars tr.came th") == "end"  # the end of the text is a token
    assert page.inner_text("#number-value") == f"difference −{1 - bars(page)['end']:.4f}"
    assert "What came is the end token" in page.inner_text("#sentence")
    page.click("#step-after")
    until(page, "document.getElementById('step-title').innerText === 'Logits'")
    page.evaluate("for (let i = 0; i < 50; i++) document.getElementById('step-after').click()")
    until(page, "document.getElementById('step-title').innerText === 'Embedding'")
    assert page.is_disabled("#step-after")
    assert page.input_value("#text") == "anna"  # no letter was drawn


def test_the_page_shows_gradients_and_takes_and_undoes_steps(names, names_model, page) -> None:
    def facts(*weight: Any) -> dict[str, Any]:
        return backward(names_model, Text.from_document(names_model, "anna"), weight, 2)

    opened(page, names, "inside", text="anna", at=2)
    page.wait_for_selector("#number-value:not(:empty)", state="attached")
    page.focus("#backward")
    page.keyboard.press("Enter")
    page.wait_for_selector("#learned:has-text(' before')")
    whole = facts("lm_head", 0, 0)
    told = page.inner_text("#learned")
    assert f"text: {nats(whole['bits_before'])} before, {nats(whole['bits_after'])} after" in told
    assert page.inner_text("#step-title") == "Probabilities"
    assert "to “n”, which came. It should have been 100 %" in page.inner_text("#plain")
    page.click("#diagram button[value='layer0.query']")
    until(page, "document.querySelectorAll('#why canvas').length === 2")
    row, column, name = WEIGHT.match(page.inner_text("#why-weight")).groups()  # type: ignore[union-attr]
    weight = facts(name, int(row) - 1, int(column) - 1)["weight"]
    largest = max(abs(each) for numbers in weight["gradients"] for each in numbers)
    assert abs(weight["gradient"]) == largest
    assert f"{abs(weight['move']):.4f}" in page.inner_text("#why")
    products = sorted((x * y for x, y in weight["factors"]), key=abs, reverse=True)
    cell = page.inner_text("#why tbody td:nth-child(4) >> nth=0")
    assert float(cell.replace("−", "-")) == pytest.approx(products[0], rel=0.06, abs=6e-5)
    page.click("#make-step")
    learned = InferenceGpt(changed(names_model, {}, [Text.from_document(names_model, "anna")]))
    until(page, EFFECT.format(nats(explain(learned, "anna").bits)))
    page.wait_for_selector("#written:not([hidden])")
    cells = page.locator("#texts-written td").all_inner_texts()
    assert [cell.strip() for cell in cells[::2]] == InferenceGpt(names_model).generate(5)
    assert [cell.strip() for cell in cells[1::2]] == learned.generate(5)
    page.wait_for_selector("#make-step:not([disabled])")
    page.click("#make-step")
    page.wait_for_selector("#changes button:has-text('after 2 steps on “anna”')")
    assert page.locator("#changes button").count() == 1
    page.click("#diagram button[value='layer0.hidden']")
    page.click("#switches input")
    page.wait_for_selector("#make-step[disabled]")
    assert page.is_visible("#no-step")
    until(page, "/without-mlp=0.*learn=anna&learn=anna/.test(location.hash)")
    page.click("text=after 2 steps on “anna” ✕")
    until(page, "/without-mlp=0/.test(location.hash) && !/learn/.test(location.hash)")


def test_look_inside_reads_a_reply_with_or_without_earlier_turns(talk, talk_gpt, page) -> None:
    def check(*messages: str) -> None:
        roles = ("user", "assistant")
        prompt = talk_gpt.chat_prompt([Message(roles[i % 2], m) for i, m in enumerate(messages)])
        wanted = "".join(talk_gpt.tokenizer.label(one) for one in (*prompt.tokens, *yo))
        names = ("bos", "start"), ("user", "user:"), ("assistant", "assistant:")
        for name, text in (*names, ("end_turn", "end of turn")):
            wanted = wanted.replace(f"<|{name}|>", text)
        until(page, f"{READ} === '{wanted}'")

    yo = talk_gpt.tokenizer.encode("yo")
    opened(page, talk, "chat", m=["hi there", "yo man", "hi", "yo"])
    page.click("#turns li:last-child >> text=Look inside")
    check("hi there", "yo man", "hi")
    assert page.inner_text("#before span >> nth=0") == "The model also reads the 2 messages before."
    learned = page.locator("#positions .token[title]").all_inner_texts()
    assert learned == [*"yo␣man", "end of turn", *"yo"]
    page.fill("#question", "hi there")
    check("hi there", "yo man", "hi there")
    until(page, "location.hash.includes('question=hi+there')")
    page.fill("#question", "hi there, man, yo")
    check("hi there", "yo man", "hi there, man, yo")
    assert "has not read its first 18 tokens" in page.inner_text("#cut")
    assert page.inner_text("#cut").endswith("The model does not know these characters: ,")
    page.click("text=Leave them out")
    check("hi there, man, yo")
    assert page.is_hidden("#before")

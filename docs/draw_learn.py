"""Draw the pictures of docs/learn.md, with colors for light and for dark pages.

uv run python docs/draw_learn.py
"""

import random
from pathlib import Path

from microgpt import CharTokenizer, Gpt, ModelConfig, load_text, train
from microgpt.model import Weights, init_weights, softmax

ROOT = Path(__file__).resolve().parents[1]
STYLE = """<style>
  text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 12px } .middle { text-anchor: middle } .end { text-anchor: end }
  .box { fill: #e8eefc; stroke: #4a6fd4 } .data { fill: #f3f4f6; stroke: #8b929c }
  .line { fill: none; stroke: #57606a; stroke-width: 1.5 } .tip { fill: #57606a }
  .before { fill: #9aa3ad } .after { fill: #3c63c9 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e8eb }
    .box { fill: #1d2a4d; stroke: #7d9bf0 } .data { fill: #22262d; stroke: #8b929c }
    .line { stroke: #a5adb8 } .tip { fill: #a5adb8 }
    .before { fill: #7b848f } .after { fill: #7d9bf0 }
  }
</style>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
  <path class="tip" d="M0 0L8 4L0 8z"/>
</marker>
"""


def svg(title: str, width: int, height: int, body: str) -> str:
    """Return an SVG picture with the shared style."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img">\n<title>{title}</title>\n{STYLE}{body}</svg>\n'
    )


def forward() -> str:
    """Draw the residual stream as a straight line, with attention and the MLP beside it."""
    steps = (
        ("data", "token 4 (e) at position 1"),
        ("box", "embedding: wte + wpe, rmsnorm"),
        ("part", "rmsnorm, attention to earlier tokens"),
        ("part", "rmsnorm, MLP on this token"),
        ("box", "lm_head: compare with each token"),
        ("data", "27 logits"),
        ("box", "softmax"),
        ("data", "27 probabilities of the next token"),
    )
    body = '<text class="small end" x="132" y="130">x, the residual</text>\n'
    body += '<text class="small end" x="132" y="146">stream: 16 numbers</text>\n'
    for i, (kind, label) in enumerate(steps):
        y = 10 + 66 * i
        if kind == "part":  # attention or MLP: it reads the stream, and adds to it
            for way in (f"M140 {y - 12}H330V{y}", f"M330 {y + 36}V{y + 48}H142"):
                body += f'<path class="line" marker-end="url(#tip)" d="{way}"/>\n'
            body += f'<text class="small" x="146" y="{y + 44}">+</text>\n'
        x, width = (200, 260) if kind == "part" else (10, 260)
        shade = kind.replace("part", "box")
        body += f'<rect class="{shade}" x="{x}" y="{y}" width="{width}" height="36" rx="6"/>\n'
        body += f'<text class="middle" x="{x + width / 2}" y="{y + 23}">{label}</text>\n'
        if kind != "part" and i + 1 < len(steps):
            after = next(k for k in range(i + 1, len(steps)) if steps[k][0] != "part")
            down = f"M140 {y + 36}V{10 + 66 * after - 1}"
            body += f'<path class="line" marker-end="url(#tip)" d="{down}"/>\n'
    return svg("A token on its way through the model", 470, 10 + 66 * len(steps), body)


def after_em(tokenizer: CharTokenizer, models: dict[str, list[float]]) -> str:
    """Draw the probability of each token after "em", before and after training."""
    body = ""
    for x, kind, label in ((40, "before", "untrained"), (200, "after", "1,000 steps")):
        body += f'<rect class="{kind}" x="{x}" y="8" width="12" height="12"/>\n'
        body += f'<text x="{x + 18}" y="19">{label}</text>\n'
    for row, name in enumerate(tokenizer.names):
        y = 30 + 18 * row
        body += f'<text class="end" x="32" y="{y + 13}">{"end" if len(name) > 1 else name}</text>\n'
        for offset, kind in ((1, "before"), (8, "after")):
            width = 1200 * models[kind][row]
            body += (
                f'<rect class="{kind}" x="40" y="{y + offset}" width="{width:.1f}" height="7"/>\n'
            )
        best = max(models[kind][row] for kind in models)
        if best > 0.1:
            body += (
                f'<text class="small" x="{46 + 1200 * best:.0f}" y="{y + 14}">{best:.0%}</text>\n'
            )
    height = 40 + 18 * len(tokenizer.names)
    return svg("Probability of the token after “em”, before and after training", 360, height, body)


def main() -> None:
    """Train Karpathy's model, and write forward.svg and after_em.svg to docs/learn/."""
    names = load_text(ROOT / "data/names.txt")
    trained = train(names)
    rng = random.Random(42)
    rng.shuffle(names)
    initial = init_weights(trained.model, rng)
    models = {
        "before": predict(trained.model, initial),
        "after": predict(trained.model, trained.weights),
    }
    folder = ROOT / "docs/learn"
    folder.mkdir(exist_ok=True)
    (folder / "forward.svg").write_text(forward())
    (folder / "after_em.svg").write_text(after_em(CharTokenizer.from_documents(names), models))


def predict(model: ModelConfig, weights: Weights[float]) -> list[float]:
    """Return the probabilities of the next token after BOS, "e" and "m"."""
    gpt = Gpt(model, weights)
    cache = gpt.new_cache()
    for token in (26, 4, 12):
        logits = gpt.forward(token, cache)
    return softmax(logits)


if __name__ == "__main__":
    main()

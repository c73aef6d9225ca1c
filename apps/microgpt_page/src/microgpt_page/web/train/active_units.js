// Draw the activity of the hidden units of the MLPs as a strip of cells.

import { colours, paintPixels, rgb } from "../colours.js";
import { byId, element } from "../text.js";

const MOST = 512; // units that are shown, at most

export class ActiveUnits {
  #canvas = element("canvas", { role: "img" });
  #shares = null;
  isOff = false; // whether the MLP does not learn

  constructor() {
    byId("active-units").append(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  /** Show the fraction of positions at which each unit is active. */
  show(shares) {
    this.#shares = shares;
    const some = shares.reduce((sum, each) => sum + each, 0).toFixed(1);
    const nDead = shares.filter((each) => each === 0).length;
    byId("active").textContent = this.isOff
      ? "The MLP does not learn, and adds nothing."
      : `Detectors of patterns (hidden units of the MLP): after a token, ${some} of ${shares.length} are active; ` +
        `${nDead} never are. The stronger the colour of a cell, the more often.`;
    this.#canvas.ariaLabel = byId("active").textContent;
    this.#paint();
  }

  #paint() {
    if (!this.#shares) return;
    const ink = rgb(colours("blue")[0]);
    paintPixels(this.#canvas, [this.#shares.slice(0, MOST)], (share) => [ink, Math.sqrt(share)]);
  }
}

// The hidden units of the MLPs: how often each is active, as a strip of cells.

import { colours, paintPixels, rgb } from "../colours.js";
import { byId, element } from "../text.js";

const MOST = 512; // units that are shown

export class ActiveUnits {
  #canvas = element("canvas", { role: "img" });
  #nLayers = 1;
  #shares = null;

  constructor() {
    byId("active-units").append(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#paint());
  }

  begin({ n_layer }) {
    this.#nLayers = n_layer;
  }

  /** Show the share of positions at which each unit is active. */
  show(shares) {
    this.#shares = shares;
    const [active, n] = [shares.reduce((sum, each) => sum + each, 0), shares.length / this.#nLayers];
    const nDead = shares.filter((each) => each === 0).length;
    const some = (active / this.#nLayers).toFixed(1);
    const dead = nDead ? `, ${nDead} of all never` : "";
    byId("active").textContent =
      `Hidden units of the MLP: at a position, ${some} of ${n} are active on average${dead}. The stronger a ` +
      "cell, the more often its unit is.";
    this.#canvas.ariaLabel = byId("active").textContent;
    this.#paint();
  }

  #paint() {
    if (!this.#shares) return;
    const ink = rgb(colours("blue")[0]);
    paintPixels(this.#canvas, [this.#shares.slice(0, MOST)], (share) => [ink, Math.sqrt(share)]);
  }
}

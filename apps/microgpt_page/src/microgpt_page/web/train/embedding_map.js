// The embeddings of the tokens in two dimensions, each at its place on the principal axes.

import { colours } from "../colours.js";
import { Plot, drawLine } from "./plot.js";
import { sign } from "../text.js";

export const MAX_SHOWN = 300; // maximum number of tokens on the map
const MARGIN = 16; // pixels

export class EmbeddingMap extends Plot {
  #labels = [];
  #places = null;

  /** Start with no places. Args: the label of each token. */
  begin(labels) {
    this.#labels = labels;
    this.#places = null;
  }

  /** Show the places of a moment. */
  show(places) {
    this.#places = places;
    this.draw();
  }

  paint(context, width, height) {
    if (!this.#places) return;
    const [along, across] = largest(this.#places);
    const scale = Math.min((width / 2 - MARGIN) / along, (height / 2 - MARGIN) / across);
    [context.strokeStyle] = colours("line");
    drawLine(context, [[0, height / 2], [width, height / 2]]); // prettier-ignore
    drawLine(context, [[width / 2, 0], [width / 2, height]]); // prettier-ignore
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${this.#labels.length > 100 ? 12 : 16}px ui-monospace, monospace`;
    this.#labels.slice(0, MAX_SHOWN).forEach((label, token) => {
      [context.fillStyle] = colours(colourOf(label));
      const [x, y] = this.#places.slice(2 * token, 2 * token + 2).map((each) => scale * each);
      const text = sign(label);
      context.fillText(text, width / 2 + x, height / 2 - y);
    });
  }
}

/** Return the largest distance along each axis. */
function largest(places) {
  const found = [0, 0];
  places.forEach((x, i) => (found[i % 2] = Math.max(found[i % 2], Math.abs(x))));
  return found;
}

/** Return the name of a colour: vowels, and what is no letter, stand out. */
function colourOf(label) {
  if (/^[aeiouy]$/i.test(label)) return "orange";
  return /^\p{L}$/u.test(label) ? "blue" : "soft";
}

// Draw the embeddings of the tokens in two dimensions, on their principal axes.

import { colours } from "../colours.js";
import { Plot, drawLine } from "./plot.js";
import { sign } from "../text.js";

export const MAX_SHOWN = 300; // maximum number of tokens on the map
const MARGIN = 16; // in pixels
const ROUNDS = 20; // rounds of moving labels apart

export class EmbeddingMap extends Plot {
  #labels = [];
  #places = null;

  /** Start without points. Args: the label of each token. */
  begin(labels) {
    this.#labels = labels;
    this.#places = null;
  }

  /** Show the points of a moment. */
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
    const size = this.#labels.length > 100 ? 12 : 16;
    context.font = `${size}px ui-monospace, monospace`;
    const labels = this.#labels.slice(0, MAX_SHOWN);
    const places = labels.map((_, token) => [scale * this.#places[2 * token], scale * this.#places[2 * token + 1]]);
    moveApart(places, 0.65 * size, 0.85 * size);
    labels.forEach((label, token) => {
      const [x, y] = places[token];
      [context.fillStyle] = colours(colourOf(label));
      context.fillText(sign(label), width / 2 + x, height / 2 - y);
    });
  }
}

/** Separate points that are closer than a width and a height, along the shorter direction. */
function moveApart(places, width, height) {
  for (let round = 0; round < ROUNDS; round++) {
    places.forEach((one, i) => {
      for (const other of places.slice(0, i)) {
        const missing = [width - Math.abs(one[0] - other[0]), height - Math.abs(one[1] - other[1])];
        if (missing[0] <= 0 || missing[1] <= 0) continue;
        const axis = Number(missing[1] < missing[0]);
        const half = (one[axis] < other[axis] ? -0.5 : 0.5) * missing[axis];
        one[axis] += half;
        other[axis] -= half;
      }
    });
  }
}

/** Return the largest distance from the origin along each axis. */
function largest(places) {
  const found = [0, 0];
  places.forEach((x, i) => (found[i % 2] = Math.max(found[i % 2], Math.abs(x))));
  return found;
}

/** Return the name of a colour: vowels, and tokens that are not letters, stand out. */
function colourOf(label) {
  if (/^[aeiouy]$/i.test(label)) return "orange";
  return /^\p{L}$/u.test(label) ? "blue" : "soft";
}

// Draw the attention weights of each head of a layer as maps for pointer and keyboard.

import { colours, paintPixels, rgb } from "./colours.js";
import { element, percent, quoted, sign } from "./text.js";

const LETTERED = 4.5; // minimum size of a cell, in pixels, for letters at all rows and columns
const IN_LINE = 8; // pixels of a cell below which the letters alternate between two lines
const MARGIN = 18; // pixels for labels
const APART = 20; // least distance between positions, in pixels
const GAP = 12; // pixels between maps
const LONG = 24; // tokens above which the maps are larger
const NARROW = 480; // width in which only two maps fit side by side

export class Maps {
  #place; // the elements of the layer, of the maps and of a sentence on a cell
  #layers;
  #model;
  #on;
  #read = [];
  #maps = []; // {rows, canvas, cell, mark, side}
  #framed = null;
  #rest = "\u00a0"; // the sentence without a cell; a space keeps the line
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #repaint = () => this.#paintAll();

  constructor(place, model, on) {
    this.#place = place;
    const layers = (this.#layers = place.layer);
    this.#model = model;
    this.#on = on;
    const numbers = [...Array(model.n_layer).keys()];
    layers.replaceChildren(...numbers.map((layer) => element("option", { value: layer }, layer + 1)));
    layers.parentElement.hidden = model.n_layer === 1;
    layers.onchange = () => on.changed();
    this.#scheme.addEventListener("change", this.#repaint);
  }

  /** Release the maps, which the browser would otherwise keep. */
  close() {
    this.#scheme.removeEventListener("change", this.#repaint);
  }

  read(parameters) {
    this.#layers.value = parameters.get("layer") ?? 0;
    if (this.#layers.selectedIndex < 0) this.#layers.value = 0;
  }

  get parameters() {
    return { layer: this.#layers.value === "0" ? undefined : this.#layers.value };
  }

  /** Choose a layer, counted from 0; return whether it changed. */
  choose(layer) {
    const isOther = this.#layers.value !== String(layer);
    this.#layers.value = layer;
    return isOther;
  }

  /** The layer, counted from 0. */
  get layer() {
    return Number(this.#layers.value);
  }

  /** The heads to draw, as pairs of layer and head, both counted from 0. */
  get heads() {
    return Array.from({ length: this.#model.n_head }, (_, head) => [Number(this.#layers.value), head]);
  }

  set rest(text) {
    this.#rest = text;
    this.#tell();
  }

  /** Draw a frame around a row of each map. */
  frame(row) {
    this.#framed = row;
    this.#paintAll();
  }

  /** Draw the attention weights of the heads of a layer over the tokens that the model reads. */
  draw(attention, read) {
    this.#read = read;
    const n = Object.keys(attention).length;
    this.#place.maps.classList.toggle("large", read.length > LONG || n > 4);
    const room = this.#place.maps.clientWidth;
    const nInRow = Math.min(n, room < NARROW && n <= 4 ? 2 : 4);
    const wide = Math.floor((room - GAP * (nInRow - 1)) / nInRow);
    this.#maps = Object.entries(attention).map(([name, rows]) => {
      const [layer, head] = name.split(".").map(Number);
      const cell = Math.max(0.1, Math.min(28, (wide - MARGIN) / rows.length)); // a hidden view has the width 0
      const side = MARGIN + cell * rows.length;
      return { layer, head, rows, cell, side, canvas: element("canvas"), mark: element("i") };
    });
    this.#place.maps.replaceChildren(...this.#maps.map((map) => this.#figure(map)));
    this.#tell();
    this.#paintAll();
  }

  #figure(map) {
    const { layer, head } = map;
    const place = element("div", { className: "map", tabIndex: 0, role: "application" });
    place.ariaLabel = `Attention of head ${head + 1}; use the arrow keys`;
    place.append(map.canvas, map.mark);
    map.mark.style.width = map.mark.style.height = `${map.cell}px`;
    let frame = 0;
    const last = map.rows.length - 1;
    const step = `layer${layer}.attention ${head}`;
    let at = [last, last];
    const point = (row, column) => {
      at = [row, column];
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => this.#point(map, step, row, column));
    };
    const leave = () => {
      cancelAnimationFrame(frame);
      map.mark.style.visibility = "hidden";
      this.#tell();
      this.#on.pointed(null);
    };
    const follow = (event) => {
      const box = place.getBoundingClientRect();
      const index = (x) => Math.floor((x - MARGIN) / map.cell);
      const [row, column] = [index(event.clientY - box.top), index(event.clientX - box.left)];
      if (Math.min(row, column) >= 0 && Math.max(row, column) <= last) point(row, column);
    };
    place.addEventListener("pointermove", follow);
    place.addEventListener("pointerdown", follow);
    place.addEventListener("pointerleave", leave);
    place.addEventListener("blur", leave);
    place.addEventListener("focus", () => point(...at));
    const choose = () => at[1] <= at[0] && this.#on.chosen(at[0], step, at[1]);
    place.addEventListener("click", choose);
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    place.addEventListener("keydown", (event) => {
      if (event.key === "Enter") choose();
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      const row = Math.max(0, Math.min(last, at[0] + move[0]));
      point(row, Math.max(0, Math.min(last, at[1] + move[1])));
    });
    return element("figure", {}, place, element("figcaption", {}, this.#on.caption?.(layer, head) ?? `head ${head + 1}`));
  }

  #point(map, step, row, column) {
    const { head, cell, mark, rows } = map;
    mark.style.transform = `translate(${MARGIN + column * cell}px, ${MARGIN + row * cell}px)`;
    mark.style.visibility = "visible";
    const [from, to] = [this.#read[row], this.#read[column]];
    if (column > row) {
      this.#on.pointed(null);
      this.#tell(`Empty: position ${row}, ${quoted(from)}, cannot see later tokens such as ${quoted(to)} (causal mask).`);
      return;
    }
    this.#on.pointed(rows[row], row, step, column);
    const what = row === column ? "itself" : `${quoted(to)} at position ${column}`;
    const share = percent(rows[row][column]);
    this.#tell(`Head ${head + 1}: ${quoted(from)} at position ${row} takes ${share} from ${what}.`);
  }

  #tell(text = this.#rest) {
    this.#place.sentence.textContent = text;
  }

  #paintAll() {
    const [blue, soft, ink] = colours("blue", "soft", "ink");
    for (const map of this.#maps) this.#paint(map, rgb(blue), soft, ink);
  }

  #paint({ rows, canvas, cell, side }, blue, soft, ink) {
    const n = rows.length;
    const small = element("canvas");
    paintPixels(small, rows, (weight) => [blue, Math.sqrt(weight)]); // makes small weights visible
    const scale = devicePixelRatio;
    canvas.width = canvas.height = Math.round(side * scale);
    canvas.style.width = canvas.style.height = `${side}px`;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, MARGIN, MARGIN, cell * n, cell * n);
    context.strokeStyle = soft;
    context.strokeRect(MARGIN, MARGIN, cell * n, cell * n);
    if (this.#framed < n && this.#framed !== null) {
      [context.strokeStyle, context.lineWidth] = [ink, 2];
      context.strokeRect(MARGIN + 1, MARGIN + this.#framed * cell, cell * (this.#framed + 1) - 1, cell);
    }
    context.fillStyle = soft;
    context.font = `${Math.max(9, Math.min(13, cell))}px ui-monospace, monospace`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const distance = cell < LETTERED ? 10 * Math.ceil(APART / 10 / cell) : 1;
    const nLines = cell < IN_LINE && distance === 1 ? 2 : 1;
    for (let i = 0; i < n; i += distance) {
      const [place, text] = [MARGIN + (i + 0.5) * cell, distance > 1 ? i : sign(this.#read[i])];
      const line = (MARGIN * ((i % nLines) + 0.5)) / nLines;
      context.fillText(text, place, line, cell * distance * nLines);
      context.fillText(text, line, place, MARGIN);
    }
  }
}

// The base of the plots of a training run: a sharp canvas in the colours of the page.

import { element } from "../text.js";

export class Plot {
  #ratio; // height divided by width
  #frame = 0;

  /** Args: the element that contains the plot and determines its width; the height divided by the width. */
  constructor(place, ratio) {
    this.#ratio = ratio;
    this.canvas = element("canvas", { role: "img" });
    place.append(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(place);
  }

  /** Paint in the next frame, only once even if this method is called several times. */
  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    const width = this.canvas.parentElement.clientWidth;
    if (!width) return; // the view is hidden
    const height = Math.round(Math.max(180, width * this.#ratio));
    const { canvas } = this;
    const scale = devicePixelRatio;
    [canvas.width, canvas.height] = [width * scale, height * scale];
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = "13px system-ui, sans-serif";
    this.paint(context, width, height);
  }
}

/** Draw a line through points. */
export function drawLine(context, points) {
  context.beginPath();
  for (const point of points) context.lineTo(...point);
  context.stroke();
}

/** Return about n round numbers in a range. */
export function ticks(low, high, n) {
  const step = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(step));
  const distance = power * [1, 2, 5, 10].find((digit) => digit * power >= step);
  const found = [];
  for (let i = Math.ceil(low / distance); i * distance <= high; i++) found.push(i * distance);
  return found;
}

// Draw the loss of each step, its mean over some steps, the held-out loss, and losses to compare with.

import { colours } from "../colours.js";
import { Plot, drawLine, ticks } from "./plot.js";
import { grouped } from "../text.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [44, 10, 8, 24]; // margins in pixels
const SMOOTHED = 1 / 50; // steps of a mean, as a fraction of all
const SPREAD = 1.35; // losses above this multiple of the loss of guessing are cut off

export class LossChart extends Plot {
  #losses = new Float64Array(0);
  #sums = new Float64Array(1); // sums of the losses before each step
  #heldOut = []; // pairs of step and loss
  #end = 0; // the number of losses
  #before = []; // pairs of step and mean loss of the previous run
  #lines = {}; // losses to compare with, by name; the first is that of guessing
  at = 0; // the current step; lines are pale after it

  /** Start without losses. Args: the number of steps, and losses to compare with, by name. */
  begin(steps, lines) {
    this.#before = this.#means(1000);
    this.#losses = new Float64Array(steps);
    this.#sums = new Float64Array(steps + 1);
    this.#heldOut = [];
    [this.#end, this.at, this.#lines] = [0, 0, lines];
    this.draw();
  }

  add(first, losses) {
    losses.forEach((loss, i) => {
      this.#losses[first + i] = loss;
      this.#sums[first + i + 1] = this.#sums[first + i] + loss;
    });
    this.#end = Math.max(this.#end, first + losses.length);
  }

  addHeldOut(step, loss) {
    this.#heldOut.push([step, loss]);
  }

  /** The number of steps that are averaged. */
  get nSmoothed() {
    return Math.max(10, Math.round(this.#losses.length * SMOOTHED));
  }

  /** Return the loss of the previous step. */
  loss(step) {
    return this.#losses[step - 1];
  }

  /** Return the mean loss of the last steps before a step. */
  mean(step) {
    const n = Math.min(step, this.nSmoothed);
    return (this.#sums[step] - this.#sums[step - n]) / n;
  }

  /** Return at most about n pairs of a step and the mean loss before it. */
  #means(n) {
    const found = [];
    const stride = Math.max(1, Math.floor(this.#end / n));
    for (let step = 1; step <= this.#end; step += stride) found.push([step, this.mean(step)]);
    return found;
  }

  paint(context, width, height) {
    const steps = this.#losses.length;
    const [low, high] = this.#range();
    const x = (step) => LEFT + (step / steps) * (width - LEFT - RIGHT);
    const y = (loss) => TOP + ((high - loss) / (high - low)) * (height - TOP - BOTTOM);
    this.#paintAxes(context, x, y, [low, high], width, height);
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, width - LEFT - RIGHT, height - TOP - BOTTOM);
    context.clip();
    this.#paintRaw(context, x, y, width - LEFT - RIGHT);
    this.#paintLine(context, x, y, this.#means(width), "blue");
    context.setLineDash([2, 4]); // it may lie on the line of this run
    this.#paintLine(context, x, y, this.#before, "ink");
    context.setLineDash([]);
    this.#paintLine(context, x, y, this.#heldOut, "orange");
    context.restore();
    this.#paintNames(context, y, width - RIGHT - 4);
  }

  /** Return the lowest and the highest loss to show. */
  #range() {
    const lines = Object.values(this.#lines);
    const guessing = lines[0];
    let [low, high] = [Math.min(...lines), Math.max(...lines)];
    for (let step = 0; step < this.#end; step++) {
      const loss = this.#losses[step];
      if (loss < low) low = loss;
      if (loss > high) high = loss;
    }
    let top = Math.max(guessing + 0.1, Math.min(high, SPREAD * guessing));
    for (const [, loss] of this.#heldOut) [low, top] = [Math.min(low, loss), Math.max(top, loss + 0.1)];
    return [Math.max(0, low - 0.1), top];
  }

  #paintAxes(context, x, y, [low, high], width, height) {
    [context.strokeStyle, context.fillStyle] = colours("line", "soft");
    context.textAlign = "right";
    context.textBaseline = "middle";
    const line = (...points) => drawLine(context, points);
    for (const loss of ticks(low, high, 6)) {
      line([LEFT, y(loss)], [width - RIGHT, y(loss)]);
      context.fillText(loss.toFixed(1), LEFT - 6, y(loss));
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    const steps = this.#losses.length;
    for (const step of ticks(0, steps, Math.max(2, Math.min(8, Math.floor(width / 90))))) {
      const text = grouped(step);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(x(step), width - half - 1), height - BOTTOM + 6);
    }
    [context.strokeStyle] = colours("soft");
    for (const loss of Object.values(this.#lines)) {
      context.setLineDash([5, 4]);
      line([LEFT, y(loss)], [width - RIGHT, y(loss)]);
    }
    context.setLineDash([]);
    if (this.at < this.#end) line([x(this.at), TOP], [x(this.at), height - BOTTOM]);
  }

  /** Paint the names of the losses to compare with, on the background colour. */
  #paintNames(context, y, right) {
    [context.strokeStyle, context.fillStyle] = colours("paper", "ink");
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.lineWidth = 4;
    for (const [name, loss] of Object.entries(this.#lines)) {
      const text = `${name}: ${loss.toFixed(2)}`;
      context.strokeText(text, right, y(loss) - 2);
      context.fillText(text, right, y(loss) - 2);
    }
    context.lineWidth = 1;
  }

  /** Paint the lowest and the highest loss of each column of pixels. */
  #paintRaw(context, x, y, width) {
    [context.strokeStyle] = colours("blue");
    context.globalAlpha = 0.3;
    const points = [];
    const stride = Math.max(1, this.#losses.length / width);
    for (let start = 0; start < this.#end; start += stride) {
      let [low, high] = [Infinity, -Infinity];
      for (let step = Math.floor(start); step < Math.min(this.#end, start + stride); step++) {
        low = Math.min(low, this.#losses[step]);
        high = Math.max(high, this.#losses[step]);
      }
      points.push([x(start + 1), y(high)], [x(start + 1), y(low)]);
    }
    drawLine(context, points);
    context.globalAlpha = 1;
  }

  /** Paint a line, which is pale after the current step. */
  #paintLine(context, x, y, points, colour) {
    [context.strokeStyle, context.fillStyle] = colours(colour, colour);
    context.lineWidth = 2;
    for (const isPast of [true, false]) {
      const part = points.filter(([step]) => step <= this.at === isPast);
      context.globalAlpha = isPast ? 1 : 0.35;
      drawLine(context, part.map(([step, loss]) => [x(step), y(loss)])); // prettier-ignore
      if (part.length === 1) context.fillRect(x(part[0][0]) - 2, y(part[0][1]) - 2, 4, 4);
    }
    context.globalAlpha = context.lineWidth = 1;
  }
}

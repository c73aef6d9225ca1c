// Return the colours of the page, and paint numbers as coloured pixels.

/** Return the values of colours of the page, such as "blue". */
export function colours(...names) {
  const style = getComputedStyle(document.documentElement);
  return names.map((name) => style.getPropertyValue(`--${name}`));
}

/** Return the red, green and blue components of a colour such as #0072b2 or #fff. */
export function rgb(colour) {
  const digits = colour.trim().slice(1);
  const each = digits.length === 3 ? [...digits].map((digit) => digit + digit) : digits.match(/../g);
  return each.map((pair) => parseInt(pair, 16));
}

/** Paint rows of numbers, one pixel per number. `look` returns red, green, blue and the opacity. */
export function paintPixels(canvas, rows, look) {
  [canvas.width, canvas.height] = [rows.at(-1).length, rows.length];
  const image = new ImageData(canvas.width, canvas.height);
  rows.forEach((row, i) => {
    row.forEach((number, j) => {
      const [colour, share] = look(number, i, j);
      image.data.set([...colour, 255 * share], 4 * (i * canvas.width + j));
    });
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Return a `look` for `paintPixels`: positive numbers are blue, others orange; small numbers are pale. */
export function bySign(numbers) {
  const [blue, orange] = colours("blue", "orange").map(rgb);
  const largest = numbers.reduce((most, number) => Math.max(most, Math.abs(number)), 0) || 1;
  return (number) => [number < 0 ? orange : blue, Math.abs(number) / largest];
}

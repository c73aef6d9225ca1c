// Find the two directions in which vectors differ most (principal component analysis), by iteration.

const MOST = 300; // maximum number of iterations
const CLOSE = 1e-7; // change of an axis at which the iteration ends

/**
 * Return the coordinates of each row on the first two principal axes: x and y of the first row, and so on.
 * @param {ArrayLike<number>} numbers rows of a matrix, one after the other
 * @param {number} width numbers in a row
 */
export function places(numbers, width) {
  const n = numbers.length / width;
  const rows = centred(numbers, width);
  const axes = /** @type {Float64Array[]} */ ([]);
  const matrix = products(rows, width);
  for (let i = 0; i < Math.min(2, width); i++) axes.push(axisOf(matrix, width, axes));
  const found = new Float32Array(2 * n);
  axes.forEach((axis, i) => {
    for (let row = 0; row < n; row++) found[2 * row + i] = dot(rows, row * width, axis);
  });
  return found;
}

/** Rotate or mirror points so that they are as close as possible to others (Procrustes). */
export function turned(/** @type {Float32Array} */ places, /** @type {Float32Array} */ others) {
  let [along, across, mirrored, mirroredAcross] = [0, 0, 0, 0];
  for (let i = 0; i < places.length; i += 2) {
    const [x, y, u, v] = [places[i], places[i + 1], others[i], others[i + 1]];
    along += x * u + y * v;
    across += x * v - y * u;
    mirrored += x * u - y * v;
    mirroredAcross += x * v + y * u;
  }
  const isMirrored = Math.hypot(mirrored, mirroredAcross) > Math.hypot(along, across);
  const angle = isMirrored ? Math.atan2(mirroredAcross, mirrored) : Math.atan2(across, along);
  const [cosine, sine, sign] = [Math.cos(angle), Math.sin(angle), isMirrored ? -1 : 1];
  return places.map((x, i) => {
    if (i % 2) return sine * places[i - 1] + cosine * sign * x;
    return cosine * x - sine * sign * places[i + 1];
  });
}

/** Return rows after subtraction of their mean. */
function centred(numbers, width) {
  const rows = Float64Array.from(numbers);
  for (let column = 0; column < width; column++) {
    let mean = 0;
    for (let i = column; i < rows.length; i += width) mean += (rows[i] * width) / rows.length;
    for (let i = column; i < rows.length; i += width) rows[i] -= mean;
  }
  return rows;
}

/** Return the sums of the products of each two columns: the covariance matrix times a factor. */
function products(rows, width) {
  const found = new Float64Array(width * width);
  for (let start = 0; start < rows.length; start += width) {
    for (let i = 0; i < width; i++) {
      const x = rows[start + i];
      for (let j = 0; j < width; j++) found[i * width + j] += x * rows[start + j];
    }
  }
  return found;
}

/** Return the direction in which rows differ most, orthogonal to other axes, from the result of `products`. */
function axisOf(matrix, width, others) {
  let axis = unit(Float64Array.from({ length: width }, (_, i) => 1 / (i + 1)), others); // any start
  for (let i = 0; i < MOST; i++) {
    const next = Float64Array.from({ length: width }, (_, row) => dot(matrix, row * width, axis));
    const before = axis;
    axis = unit(next, others);
    if (axis.every((x, j) => Math.abs(x - before[j]) < CLOSE)) break;
  }
  return axis;
}

/** Return a vector scaled to length 1, without its components along other axes; a zero vector is not scaled. */
function unit(vector, others) {
  for (const other of others) {
    const share = dot(vector, 0, other);
    vector.forEach((x, i) => (vector[i] = x - share * other[i]));
  }
  const length = Math.sqrt(dot(vector, 0, vector));
  return length ? vector.map((x) => x / length) : vector;
}

function dot(numbers, start, vector) {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += numbers[start + i] * vector[i];
  return sum;
}

// Allocate arrays in the memory of the kernels, and call kernels. JavaScript version of engine/kernel_cache.py.
//
// An argument is a word of 64 bits: a number, or the address of an array, which is laid out like an
// array of NumPy in a 64-bit CPython (see engine/wasm.py). The stack is below the arrays.

import { EngineError } from "./errors.js";

const STACK = 2 ** 19; // the stack grows down from here
const START = 2 ** 20; // address of the first array
const PAGE = 2 ** 16;
const ALIGNMENT = 64; // bytes; kernels store whole vectors at aligned addresses
const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  uint32: Uint32Array,
  int32: Int32Array,
  int8: Int8Array,
};
const NO_SIMD =
  "This browser cannot run the model: it has no WebAssembly with SIMD. " +
  "Use a current version of Firefox, Chrome, Edge or Safari.";

export const LANES = 4; // numbers in a vector of float32

/** Round n up to a multiple of the vector length. */
export const padded = (/** @type {number} */ n) => Math.ceil(n / LANES) * LANES;

const double = new Float64Array(1);
const bits = new BigInt64Array(double.buffer);

/** Return the word of a floating-point argument. */
export function float(/** @type {number} */ number) {
  double[0] = number;
  return bits[0];
}

/** An array that kernels can read and write. */
export class KernelArray {
  /**
   * @param {Memory} memory
   * @param {keyof typeof TYPES} type
   * @param {number} address of its numbers
   * @param {number[]} shape
   * @param {number[]} room the shape with the padding of each dimension
   */
  constructor(memory, type, address, shape, room) {
    this.memory = memory;
    this.type = type;
    this.address = address;
    this.shape = shape;
    const size = TYPES[type].BYTES_PER_ELEMENT;
    this.length = room.reduce((product, n) => product * n, 1); // with padding
    this.row = room[room.length - 1]; // numbers from one row to the next
    const strides = room.map((_, i) => room.slice(i + 1).reduce((product, n) => product * n, size));
    this.head = memory.reserve(48 + 16 * shape.length);
    const sizes = this.head + 48;
    const words = [address, shape.length, sizes, sizes + 8 * shape.length, ...shape, ...strides];
    new BigInt64Array(memory.buffer, this.head + 16, words.length).set(words.map(BigInt));
  }

  /**
   * All numbers in order, with padding. The array is valid until the memory grows.
   * @returns {any} a typed array
   */
  get numbers() {
    return new TYPES[this.type](this.memory.buffer, this.address, this.length);
  }

  /** Return a view of the first n columns. */
  columns(/** @type {number} */ n) {
    const [rows] = this.shape;
    return new KernelArray(this.memory, this.type, this.address, [rows, n], [rows, this.row]);
  }

  /** Return a view of the rows from a given row on. */
  rows(/** @type {number} */ first, /** @type {number[]} */ shape) {
    const address = this.address + first * this.row * TYPES[this.type].BYTES_PER_ELEMENT;
    return new KernelArray(this.memory, this.type, address, shape, [...shape.slice(0, -1), this.row]);
  }
}

export class Memory {
  #memory = new WebAssembly.Memory({ initial: START / PAGE });
  #kernels;
  end = START; // end of the allocated arrays; a smaller value frees the arrays after it

  /** @param {Record<string, Uint8Array>} modules by the name of their kernel */
  constructor(modules) {
    const stack = new WebAssembly.Global({ value: "i32", mutable: true }, STACK);
    const env = { __linear_memory: this.#memory, __stack_pointer: stack };
    this.#kernels = Object.fromEntries(
      Object.entries(modules).map(([name, bytes]) => {
        if (!WebAssembly.validate(bytes)) throw new EngineError(NO_SIMD);
        const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env });
        return [name, /** @type {Function} */ (instance.exports.run)];
      }),
    );
  }

  get buffer() {
    return this.#memory.buffer;
  }

  /** Allocate zeroed bytes, and return their address. */
  reserve(/** @type {number} */ n) {
    const address = Math.ceil(this.end / ALIGNMENT) * ALIGNMENT;
    const missing = address + n - this.buffer.byteLength;
    try {
      if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE));
    } catch {
      throw new EngineError(
        "there is not enough memory for this; use a shorter text, fewer samples or a smaller model",
      );
    }
    this.end = address + n;
    new Uint8Array(this.buffer, address, n).fill(0);
    return address;
  }

  /** Return a new array of zeros. */
  array(/** @type {keyof typeof TYPES} */ type, /** @type {number[]} */ shape, room = shape) {
    const length = room.reduce((product, n) => product * n, 1);
    const address = this.reserve(length * TYPES[type].BYTES_PER_ELEMENT);
    return new KernelArray(this, type, address, shape, room);
  }

  /** Return a new array of numbers. */
  arrayOf(/** @type {keyof typeof TYPES} */ type, /** @type {ArrayLike<number>} */ numbers) {
    const array = this.array(type, [numbers.length]);
    array.numbers.set(type === "int64" ? Array.from(numbers, BigInt) : numbers);
    return array;
  }

  /** Call a kernel with arguments that are nested as in Python; return its result. */
  call(/** @type {string} */ name, /** @type {any[]} */ args) {
    const end = this.end;
    const words = args.flat(Infinity).map((arg) => BigInt(arg instanceof KernelArray ? arg.head : arg));
    const place = this.reserve(8 * (2 + words.length)); // the result, an exception, the arguments
    new BigInt64Array(this.buffer, place + 16, words.length).set(words);
    const status = this.#kernels[name](place, place + 8, place + 16);
    const [result] = new BigInt64Array(this.buffer, place, 1);
    this.end = end;
    if (status !== 0) throw new EngineError(`the kernel ${name} failed with status ${status}`);
    return Number(result);
  }
}

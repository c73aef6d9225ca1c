// Runs WebAssembly kernels on images of their memory, for node.py.
//
// A request is a line of JSON and an image; the answer is the image afterwards.
const fs = require("fs");

const STACK = 2 ** 19; // the stack grows down from here; images begin above it
const PAGE = 2 ** 16;
const memory = new WebAssembly.Memory({ initial: 32 });
const stack = new WebAssembly.Global({ value: "i32", mutable: true }, STACK);
const kernels = {};

function kernel(file) {
  const env = { __linear_memory: memory, __stack_pointer: stack };
  const { log, cos, sin } = Math; // for the initial weights alone
  kernels[file] ??= new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), {
    env: { ...env, log, cos, sin },
  }).exports.run;
  return kernels[file];
}

function read(length) {
  const bytes = Buffer.alloc(length);
  for (let n = 0; n < length; ) {
    const taken = fs.readSync(0, bytes, n, length - n, null);
    if (taken === 0) process.exit(0); // the end of the input
    n += taken;
  }
  return bytes;
}

function readLine() {
  let line = "";
  for (let byte; (byte = read(1).toString("latin1")) !== "\n"; ) line += byte;
  return JSON.parse(line);
}

function write(bytes) {
  for (let n = 0; n < bytes.length; ) {
    try {
      n += fs.writeSync(1, bytes, n);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

for (;;) {
  const { file, start, words, length } = readLine();
  const image = read(length);
  const missing = start + length + PAGE - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  new Uint8Array(memory.buffer).set(image, start);
  kernel(file)(words, words + 8, words + 16); // the result, an exception, and the arguments
  write(new Uint8Array(memory.buffer, start, length));
}

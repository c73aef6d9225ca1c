// ZIP archives without compression (APPNOTE.TXT of PKWARE, 4.3).

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
const VERSION = 20; // that is needed to read a directory in an archive
const UTF_8 = 0x800; // flag of a name
const DATE = 0x21; // 1980-01-01, the first
const encoder = new TextEncoder();

/** Return an archive of files, which are given by name. */
export function zipped(/** @type {Record<string, Uint8Array>} */ files) {
  const [parts, directory] = [/** @type {Uint8Array[]} */ ([]), /** @type {Uint8Array[]} */ ([])];
  let size = 0;
  for (const [name, content] of Object.entries(files)) {
    const path = encoder.encode(name);
    const about = [VERSION, UTF_8, 0, 0, DATE];
    const sizes = [crc32(content), content.length, content.length];
    directory.push(
      record(0x02014b50, [VERSION, ...about], sizes, [path.length, 0, 0, 0, 0, 0, 0], [size]),
      path,
    );
    parts.push(record(0x04034b50, about, sizes, [path.length, 0]), path, content);
    size += 30 + path.length + content.length;
  }
  const n = directory.length / 2;
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  return joined([...parts, ...directory, record(0x06054b50, [0, 0, n, n], [length, size], [0])]);
}

/** Return a signature and numbers: words of 16, 32, 16 and 32 bits, in this order. */
function record(signature, ...groups) {
  const numbers = groups.flatMap((group, i) => group.map((number) => [number, i % 2 ? 4 : 2]));
  const view = new DataView(new ArrayBuffer(4 + numbers.reduce((sum, [, size]) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [number, size] of numbers) {
    if (size === 4) view.setUint32(at, number, true);
    else view.setUint16(at, number, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

/** @param {Uint8Array[]} parts */
export function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// Whether a text is a training document, by CRC-32. Equals storage/document_hashes.py.

import { strip } from "./characters.js";
import { crc32 } from "./checksum.js";

export class DocumentHashes {
  #hashes;

  /** @param {Uint8Array} content of documents.crc32 */
  constructor(content) {
    this.#hashes = new Set(new Uint32Array(content.slice().buffer));
  }

  /** Return whether a text is one of the documents, or all of its lines are. @param {string} text */
  has(text) {
    const lines = text.includes("\n") ? text.split("\n").map(strip).filter(Boolean) : [];
    return this.#has(text) || (lines.length > 0 && lines.every((line) => this.#has(line)));
  }

  #has(line) {
    return this.#hashes.has(crc32(new TextEncoder().encode(line)));
  }
}

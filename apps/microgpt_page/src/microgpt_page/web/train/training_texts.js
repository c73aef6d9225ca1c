// Choose the training texts: the bundled names, a file, or pasted text.

import { bundledNames } from "../client.js";
import { byId, plural } from "../text.js";

const MAX_BYTES = 8e6; // as the page says

export class TrainingTexts {
  #changed;
  nChanges = 0; // how often other texts have been chosen
  #file = null; // the file that was chosen or dropped

  /** Args: a function that is called when other texts are chosen. */
  constructor(changed) {
    this.#changed = () => {
      this.nChanges++;
      changed();
    };
    const source = byId("texts-source");
    source.addEventListener("change", () => this.#show());
    byId("texts-file").addEventListener("change", ({ target }) => this.#take(target.files[0]));
    byId("texts-pasted").addEventListener("change", () => this.#changed());
    const zone = byId("texts");
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      const [file] = event.dataTransfer.files;
      if (!file) return;
      source.value = "file";
      this.#take(file);
    });
    this.#show(false);
  }

  /** A name for a model of these texts. */
  get name() {
    const source = byId("texts-source").value;
    if (source === "names") return "names";
    const file = source === "file" ? (this.#file?.name ?? "") : "";
    return file.replace(/\.\w+$/, "") || "my-model";
  }

  /** The noun for a document. */
  get noun() {
    return byId("texts-source").value === "names" ? "names" : "documents";
  }

  /**
   * Make a laboratory read the texts. Return a description, or null if none are chosen yet. Throw an
   * error with a message for the user.
   */
  async readBy(laboratory) {
    const content = await this.#content();
    if (!content) return null;
    const found = await laboratory.ask("read", content);
    byId("texts-about").textContent = about(found);
    return found;
  }

  async #content() {
    const source = byId("texts-source").value;
    byId("texts-about").textContent = "";
    if (source === "names") return { bytes: await bundledNames() };
    if (source === "paste") {
      const text = byId("texts-pasted").value;
      return text.trim() ? { bytes: new TextEncoder().encode(text) } : null;
    }
    const file = this.#file;
    if (!file) return null;
    if (file.size > MAX_BYTES) {
      const size = (file.size / 1e6).toLocaleString("en", { maximumFractionDigits: 1 });
      throw new Error(`The file has ${size} MB; at most 8 MB are allowed. Use a part of it.`);
    }
    const bytes = await file.arrayBuffer().catch(() => {
      throw new Error("The file cannot be read. Choose it again.");
    });
    return { bytes: new Uint8Array(bytes) };
  }

  #take(file) {
    this.#file = file ?? null;
    this.#show();
  }

  #show(isChange = true) {
    const source = byId("texts-source").value;
    for (const label of document.querySelectorAll("[data-source]")) {
      label.hidden = label.dataset.source !== source;
    }
    if (isChange) this.#changed();
  }
}

/** Return a sentence that describes the training texts. */
function about({ text, nDocuments, nCharacters, nTokens }) {
  const what = text === "stream" ? "Running text" : plural(nDocuments, "document");
  const tokens = `${plural(nTokens, "token")}: the characters, and one that starts and ends a text`;
  return `${what} with ${plural(nCharacters, "character")}; ${tokens}.`;
}

// Save the page as a file, optionally with another model.

import { element, grouped } from "../text.js";

const MODEL = /(<script type="text\/plain" id="model-data">)[^<]*/;
const ABOUT = /with [\d,]+ weights in \w+ precision \(float\d+\)/;

/** Return the text of the page. Args: its text, the file of a model, and its number of weights. */
export async function pageWith(text, model, nWeights) {
  const deflated = model.stream().pipeThrough(new CompressionStream("deflate"));
  const data = await base64(await new Response(deflated).blob());
  const about = `with ${grouped(nWeights)} weights in single precision (float32)`;
  return text.replace(MODEL, (_, start) => start + data).replace(ABOUT, about);
}

function base64(blob) {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(String(reader.result).split(",")[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Make the browser save a file. */
export function save(content, type, name) {
  const link = element("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

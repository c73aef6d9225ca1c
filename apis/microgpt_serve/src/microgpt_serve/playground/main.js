// Load the model's description, then show the view that the address names.

import { read } from "./address.js";
import { Chat } from "./chat.js";
import { Generate } from "./generate.js";
import { Inside } from "./inside.js";
import { get } from "./service.js";

const trouble = document.getElementById("trouble");

/** Show a problem above the views, or hide it if there is none. */
export function tell(error) {
  if (error?.name === "AbortError") return;
  trouble.textContent = error ? error.message : "";
  trouble.hidden = !error;
}

const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

async function start() {
  const model = await get("microgpt/v1/model");
  document.body.className = model.chat ? "is-chat" : "is-text";
  document.getElementById("model").textContent = [
    `${model.name}: a ${model.chat ? "chat" : "text"} model with ${plural(model.num_params, "weight")}`,
    plural(model.n_layer, "layer"),
    plural(model.n_head, "head"),
    `width ${model.n_embd}`,
    `context of ${plural(model.block_size, "token")}`,
  ].join(", ");
  const views = { chat: new Chat(model), generate: new Generate(model), inside: new Inside(model) };
  const show = () => {
    const { view, parameters } = read();
    const isThere = view in views && (model.chat || view !== "chat");
    const name = isThere ? view : model.chat ? "chat" : "generate";
    if (name !== view) history.replaceState(null, "", `#/${name}`);
    for (const other in views) document.getElementById(other).hidden = other !== name;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${document.querySelector("nav a[aria-current]").textContent} – microgpt`;
    tell();
    views[name].show(parameters);
  };
  addEventListener("hashchange", show);
  show();
}

start().catch((error) => {
  document.getElementById("model").textContent = "";
  tell(error);
});

// Load the model's description, then show the view that the address names.

import { enter, read } from "./address.js";
import { Chat } from "./chat/chat.js";
import { Generate } from "./generate/generate.js";
import { Inside } from "./inside/inside.js";
import { chooseModel, get } from "./service.js";
import { byId, plural } from "./text.js";
import { Train } from "./train/train.js";
import { tell } from "./trouble.js";

async function start() {
  byId("damaged")?.remove(); // in a file, until now
  await chooseModel();
  const model = await get("microgpt/v1/model");
  document.body.className = model.chat ? "is-chat" : "is-text";
  byId("model").textContent = [
    `${model.name}: a ${model.chat ? "chat" : "text"} model with ${plural(model.num_params, "weight")}`,
    plural(model.n_layer, "layer"),
    plural(model.n_head, "head"),
    `width ${model.n_embd}`,
    `context of ${plural(model.block_size, "token")}`,
  ].join(", ");
  const chat = model.chat && new Chat(model);
  const views = new Map(chat ? [["chat", chat]] : []); // the first one is the default
  if (!model.generates) document.querySelector('nav a[href="#/generate"]').remove();
  else views.set("generate", new Generate(model));
  views.set("inside", new Inside(model, () => chat?.lastReply));
  views.set("train", new Train());
  const show = () => {
    const { view, parameters } = read();
    const name = views.has(view) ? view : views.keys().next().value;
    for (const other of views.keys()) byId(other).hidden = other !== name;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = `${document.querySelector("nav a[aria-current]").textContent} – microgpt`;
    tell();
    const shown = views.get(name);
    if (enter(name)) shown.resume?.();
    else shown.show(name === view ? parameters : new URLSearchParams());
  };
  document.querySelector("nav").addEventListener("click", (event) => {
    const isCurrent = event.target.closest("[aria-current]");
    if (isCurrent && !event.ctrlKey && !event.metaKey) event.preventDefault(); // no new history entry
  });
  addEventListener("hashchange", show);
  show();
}

start().catch((error) => {
  byId("model").textContent = "";
  tell(error);
});

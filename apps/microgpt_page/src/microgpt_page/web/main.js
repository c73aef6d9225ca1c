// Load the model's description, then show the view that the address names.

import { enter, read } from "./address.js";
import { Chat } from "./chat/chat.js";
import { Generate } from "./generate/generate.js";
import { Inside } from "./inside/inside.js";
import { ask, pageText } from "./client.js";
import { byId, plural, printable, tell } from "./text.js";
import { save } from "./train/saved_page.js";
import { Train } from "./train/train.js";
import { WhatIf } from "./what_if/what_if.js";

async function start() {
  byId("damaged").remove();
  const model = await ask("model");
  if (model.is_plain && model.speaker) model.name = model.speaker;
  byId("save-this").addEventListener("click", () => save(pageText(), "text/html", `${model.name}.html`));
  document.body.className = model.chat ? "is-chat" : "is-text";
  const shape = [[model.num_params, "weight"], [model.n_layer, "layer"], [model.n_head, "head"]].map((each) => plural(...each));
  const title = `trained model “${printable(model.name)}”`;
  const made = `The ${title}: ${shape.join(", ")}, trained at a learning rate of ${model.lr}`;
  byId("model").title = `width ${model.n_embd}, context of ${plural(model.block_size, "token")}`;
  const chat = model.chat && new Chat(model);
  const inside = new Inside(model, () => chat?.lastReply);
  const train = new Train(model);
  const whatIf = new WhatIf(train.texts, train.settings);
  const views = new Map(Object.entries(
    model.chat ? { chat, inside, train } : { train, inside, generate: new Generate(model) },
  )).set("what-if", whatIf);
  const first = model.chat ? "chat" : /^[a-z]+$/.test(model.characters) ? "train" : "generate"; // Train reads names
  if (model.is_plain) {
    document.body.classList.add("is-plain");
    document.querySelector("h1").textContent = model.name;
    for (const name of ["inside", "train", "what-if"]) views.delete(name);
  }
  const links = [...views.keys()].map((name) => document.querySelector(`nav a[href="#/${name}"]`));
  document.querySelector("nav").replaceChildren(...links);
  const show = () => {
    const { view, parameters } = read();
    const name = views.has(view) ? view : first;
    for (const other of views.keys()) byId(other).hidden = other !== name;
    const isNew = ["train", "what-if"].includes(name);
    byId("model").textContent = isNew ? `New models are trained here; the ${title} is in Look inside` : made;
    byId("words").hidden = ["chat", "generate"].includes(name);
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = model.is_plain ? model.name : `${document.querySelector("nav a[aria-current]").textContent} – microgpt`;
    tell();
    const shown = views.get(name);
    if (enter(name)) shown.resume?.();
    else shown.show(name === view ? parameters : new URLSearchParams());
  };
  byId("to-words").addEventListener("click", () => {
    byId("words").open = true;
    byId("words").scrollIntoView();
  });
  byId("to-parts").addEventListener("click", () => {
    byId("plan-fold").open = true;
    addEventListener("hashchange", () => byId("plan-parts").scrollIntoView(), { once: true });
  });
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

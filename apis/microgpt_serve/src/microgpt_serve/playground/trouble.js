// The problem that is shown above the views.

import { get } from "./service.js";
import { showText } from "./text.js";

/** Show a problem above the views, or hide it if there is none. */
export function tell(error) {
  if (error?.name === "AbortError") return;
  showText("trouble", error?.message ?? "");
}

let isChecking = false; // once at a time, however fast someone types

/** Show a problem if the service has another model than the page, whose facts are then wrong. */
export async function checkModel({ version }) {
  if (isChecking) return;
  isChecking = true;
  const { version: served } = await get("health").catch(() => ({})); // which needs no key
  isChecking = false;
  if (served && served !== version) tell(new Error("The service has another model now. Reload this page."));
}

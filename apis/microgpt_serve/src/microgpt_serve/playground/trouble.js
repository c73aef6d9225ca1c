// The problem that is shown above the views.

import { byId } from "./text.js";

/** Show a problem above the views, or hide it if there is none. */
export function tell(error) {
  if (error?.name === "AbortError") return;
  byId("trouble").textContent = error ? error.message : "";
  byId("trouble").hidden = !error;
}

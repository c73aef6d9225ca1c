// The state of a view is in the fragment of the address, so that a link shows the same thing:
// #/generate?prompt=an&temperature=0.5

/** Return the view in the address and its parameters. */
export function read() {
  const [view, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { view, parameters: new URLSearchParams(query) };
}

/** Return the address of a view. Parameters that are null, undefined or "" are left out. */
export function address(view, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (Array.isArray(value) || (one ?? "") !== "") query.append(name, one);
    }
  }
  return `#/${view}${query.size ? "?" : ""}${query}`;
}

/** Set the parameters of the view that is shown, without an entry in the history. */
export function write(view, parameters) {
  if (read().view === view) history.replaceState(null, "", address(view, parameters));
}

/** Return a number from a field, or undefined if the field is empty. */
export const number = (input) => (input.value === "" ? undefined : Number(input.value));

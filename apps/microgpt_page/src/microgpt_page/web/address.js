// Keep the state of a view in the fragment of the address, so that a link restores the view:
// #/generate?prompt=an&temperature=0.5

const PAUSE_MS = 400; // least time between changes; WebKit allows 100 in 30 seconds

let current = ""; // the view that is shown
let seen = ""; // the address of that view; another one in the browser is not shown yet
let isPausing = false;
const wanted = new Map(); // addresses by view, shown or not
const left = new Map(); // the address at which each view was left

/** Return the view that the address names, and its parameters. */
export function read() {
  const [view, query] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { view, parameters: new URLSearchParams(query) };
}

/** Encode parameters for an address; parameters that are null, undefined or "" are left out. */
export function query(parameters) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (Array.isArray(value) || (one ?? "") !== "") found.append(name, one);
    }
  }
  return found;
}

/** Return the address of a view. */
export function address(view, parameters = {}) {
  const found = query(parameters);
  return `#/${view}${found.size ? "?" : ""}${found}`;
}

/** Show a view at the address. Return whether the view already has the state that the address describes. */
export function enter(view) {
  left.set(current, seen);
  [current, seen] = [view, location.hash];
  const { view: named, parameters } = read();
  const isOther = named === view && parameters.size > 0 && left.get(view) !== seen;
  const isKept = left.has(view) && !isOther;
  if (!isKept) wanted.delete(view);
  if (!isKept && named !== view) wanted.set(view, address(view));
  update();
  return isKept;
}

/** Set the parameters of a view, and update the address without an entry in the history. */
export function write(view, parameters) {
  wanted.set(view, address(view, parameters));
  update();
}

function update() {
  const next = wanted.get(current) ?? seen;
  if (isPausing || next === seen || location.hash !== seen) return;
  isPausing = true;
  setTimeout(() => {
    isPausing = false;
    update();
  }, PAUSE_MS);
  try {
    history.replaceState(null, "", next);
    seen = next;
  } catch {
    // The address was changed too often; `update` tries again after the pause.
  }
}

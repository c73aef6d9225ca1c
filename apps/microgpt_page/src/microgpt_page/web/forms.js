// Read the fields of forms, and submit forms.

/** Return the number in a field, or undefined if the field is empty. */
export const number = (input) => (input.value === "" ? undefined : Number(input.value));

// A browser cannot show that a field is invalid while the field is in a closed <details> element.
document.addEventListener("invalid", ({ target }) => target.closest("details")?.toggleAttribute("open", true), true);

// Scripts handle all forms of the page, so the browser must not submit them.
document.addEventListener("submit", (event) => event.preventDefault());

/** Make Enter submit the form of a text area if its fields are valid; Shift+Enter adds a line. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
}

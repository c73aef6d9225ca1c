// Read the fields of forms, and send forms.

/** Return the number in a field, or undefined if the field is empty. */
export const number = (input) => (input.value === "" ? undefined : Number(input.value));

// A browser cannot show which field is wrong while it is in a closed element.
document.addEventListener("invalid", ({ target }) => target.closest("details")?.toggleAttribute("open", true), true);

// Scripts answer all forms of the page.
document.addEventListener("submit", (event) => event.preventDefault());

/** Make Enter send the form of a text area if its fields are valid; Shift+Enter adds a line. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
}

// Fields of forms.

/** Return the number in a field, or undefined if the field is empty. */
export const number = (input) => (input.value === "" ? undefined : Number(input.value));

/** Have Enter send the form of a text area, if its fields are valid. Shift+Enter adds a line. */
export function sendOnEnter(area) {
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
}

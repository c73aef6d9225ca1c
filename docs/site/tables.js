// Make wide tables focusable, so that they scroll by keyboard also in browsers that do not do this.
addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
});

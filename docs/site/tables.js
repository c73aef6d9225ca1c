// Wide tables scroll sideways: let the keyboard reach them in browsers that do not do so themselves.
addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) table.tabIndex = 0;
});

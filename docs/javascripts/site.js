// Tables wider than the page scroll sideways: the keyboard reaches them too.
window.addEventListener("load", () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap, .demo-figure")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  }
});

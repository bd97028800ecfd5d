/* Paper is white: a page that is read in the dark theme prints in the light one. */
(function () {
  "use strict";

  const page = document.documentElement.dataset;
  let theme = null;

  window.addEventListener("beforeprint", () => {
    theme = page.theme;
    page.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    if (theme !== null) page.theme = theme;
    theme = null;
  });
})();

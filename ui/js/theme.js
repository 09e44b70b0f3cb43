// Before the first paint, so that no page flashes in the wrong colours.
const chosen = localStorage.getItem("sidelight.theme");
document.documentElement.dataset.theme =
  chosen === "light" || chosen === "dark" ? chosen : matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";

// What the dashboard takes from npm at run time, as one module that is loaded only by the pages that need it.
// `boot.js` offers it as `window.sidelight.vendor()`, a promise of this module.
export { createEditor } from "./editor.js";

// Starts the dashboard. The build fills in the addresses, which carry their content's hash.
import init from "{{glue}}";

// The vendor bundle (the editor) waits until a page asks for it.
window.sidelight = { vendor: () => import("{{vendor}}") };
await init({ module_or_path: "{{wasm}}" });

// The package as a page without a bundler takes it: from a plain file, here this checkout's build. In your own project,
// write `import { … } from "wasmgrad"` with a bundler, or a CDN's address without one. (Import maps, which could give a
// bare name a place, do not reach workers.)
export * from "../../dist/browser/index.js";

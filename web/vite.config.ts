import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { viteSingleFile } from 'vite-plugin-singlefile'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'

const STATIC = '../src/vaescape/explore/static'

/** The WebAssembly runtime, packed once here: Python embeds it as the blob `ort_wasm`. */
function runtime(): Plugin {
  const wasm = createRequire(import.meta.url).resolve(
    'onnxruntime-web/ort-wasm-simd-threaded.wasm',
  )
  return {
    name: 'runtime',
    apply: 'build',
    closeBundle: () =>
      writeFileSync(`${STATIC}/ort.wasm.gz`, gzipSync(readFileSync(wasm), { level: 9 })),
  }
}

/** Keeps the build from inlining the WebAssembly beside the JavaScript: the page hands it over. */
function sealed(): Plugin {
  return {
    name: 'sealed',
    enforce: 'pre',
    transform: (code, id) =>
      id.includes('onnxruntime-web')
        ? code.replaceAll('new URL("ort-wasm-simd-threaded.wasm",import.meta.url).href', '""')
        : null,
  }
}

export default defineConfig({
  plugins: [svelte(), viteSingleFile({ removeViteModuleLoader: true }), sealed(), runtime()],
  // Browsers refuse module workers to a page opened from disk; classic ones start.
  worker: { format: 'iife', plugins: () => [sealed()] },
  resolve: { alias: { 'onnxruntime-web': 'onnxruntime-web/wasm' } },
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: { input: 'page.html' },
  },
  test: { include: ['test/**/*.test.ts'] },
})

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

/** Gathers Svelte's and the imports' chunks into one page, and leaves the slots' comment alone. */
export default defineConfig({
  plugins: [svelte(), viteSingleFile({ removeViteModuleLoader: true }), runtime()],
  worker: { format: 'es' },
  resolve: { alias: { 'onnxruntime-web': 'onnxruntime-web/wasm' } },
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: { input: 'page.html' },
  },
  test: { include: ['test/**/*.test.ts'] },
})

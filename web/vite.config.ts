import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { viteSingleFile } from 'vite-plugin-singlefile'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'

const STATIC = '../src/vaescape/explore/static'
const BEST = { level: 9, memLevel: 9 }

/** The WebAssembly runtime, packed once here: Python embeds it as the blob `ort_wasm`. */
function runtime(): Plugin {
  const wasm = createRequire(import.meta.url).resolve(
    'onnxruntime-web/ort-wasm-simd-threaded.wasm',
  )
  return {
    name: 'runtime',
    apply: 'build',
    closeBundle: () =>
      writeFileSync(`${STATIC}/ort.wasm.gz`, gzipSync(readFileSync(wasm), BEST)),
  }
}

/**
 * Packs the program and starts it where the description of the run ends: a module would wait for all
 * that the page carries, and the points need little of it.
 */
function early(): Plugin {
  const script = /<script type="module"[^>]*>([^]*?)<\/script>\s*/
  const manifest = '<script type="application/json" id="manifest">{}</script>'
  return {
    name: 'early',
    apply: 'build',
    closeBundle: () => {
      const built = readFileSync(`${STATIC}/page.html`, 'utf8')
      const program = `(()=>{"use strict";${script.exec(built)![1]}})()`
      const packed = gzipSync(program, BEST).toString('base64')
      const carried = `<script type="application/octet-stream;base64" id="program">${packed}</script>`
      const start = `<script>${readFileSync('start.js', 'utf8').trim()}</script>`
      const page = built
        .replace(script, '')
        .replace(manifest, () => [manifest, carried, start].join('\n    '))
      writeFileSync(`${STATIC}/page.html`, page)
    },
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
  plugins: [svelte(), viteSingleFile({ removeViteModuleLoader: true }), sealed(), runtime(), early()],
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

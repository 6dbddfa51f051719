import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { viteSingleFile } from 'vite-plugin-singlefile'
import { build } from 'vite'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'
import { bundled, notices, packageOf } from './licences.ts'

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
 * that the page carries, and the points need little of it. No other script than these two may run.
 */
function early(): Plugin {
  const script = /<script type="module"[^>]*>([^]*?)<\/script>\s*/
  const manifest = '<script type="application/json" id="manifest">{}</script>'
  const end = '<script type="application/json" id="end">'
  return {
    name: 'early',
    apply: 'build',
    closeBundle: () => {
      const built = readFileSync(`${STATIC}/page.html`, 'utf8')
      const program = `(()=>{"use strict";${script.exec(built)![1]}})()`
      const start = readFileSync('start.js', 'utf8').trim()
      const packed = gzipSync(program, BEST).toString('base64')
      const carried = `<script type="application/octet-stream;base64" id="program">${packed}</script>`
      const licences = `<script type="text/plain" id="licences">${notices().replaceAll('</', '<\\/')}</script>`
      const page = built
        .replace(script, '')
        .replace(ANY_SCRIPT, () => [start, program].map(hashed).join(' '))
        .replace(manifest, () => [manifest, carried, `<script>${start}</script>`].join('\n    '))
        .replace(end, () => `${licences}\n    ${end}`)
      writeFileSync(`${STATIC}/page.html`, page)
      writeFileSync(`${STATIC}/LICENCES.txt`, notices())
    },
  }
}

/** The page of two runs. Each of theirs comes under its policy too, so that it allows what they do, and its own script. */
function pair(): Plugin {
  const policy = /(http-equiv="Content-Security-Policy"\s+content=)"([^"]*)"/
  return {
    name: 'pair',
    apply: 'build',
    closeBundle: {
      order: 'post',
      sequential: true,
      handler: async () => {
        await build({
          configFile: false,
          logLevel: 'warn',
          plugins: [svelte(), noticed(), viteSingleFile({ removeViteModuleLoader: true })],
          build: { outDir: STATIC, emptyOutDir: false, target: 'es2022', rolldownOptions: { input: 'pair.html' } },
        })
        const [, , theirs] = policy.exec(readFileSync(`${STATIC}/page.html`, 'utf8'))!
        const outer = readFileSync(`${STATIC}/pair.html`, 'utf8')
        const [, program] = /<script type="module"[^>]*>([^]*?)<\/script>/.exec(outer)!
        const own = theirs.replace('script-src', () => `script-src ${hashed(program)}`)
        writeFileSync(`${STATIC}/pair.html`, outer.replace(policy, (_, before) => `${before}"${own}"`))
      },
    },
  }
}

/** What the policy of the page allows while it is developed; the built one names its scripts. */
const ANY_SCRIPT = "'unsafe-inline'"

const hashed = (script: string): string =>
  `'sha256-${createHash('sha256').update(script).digest('base64')}'`

/** Refuses to build with a package that has no notice. */
function noticed(): Plugin {
  return {
    name: 'noticed',
    apply: 'build',
    generateBundle(_, bundle) {
      const known = bundled()
      for (const chunk of Object.values(bundle))
        for (const module of chunk.type === 'chunk' ? chunk.moduleIds : []) {
          const name = packageOf(module)
          if (name && !known.has(name)) this.error(`The page contains ${name}, for which there is no licence notice.`)
        }
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
  plugins: [svelte(), noticed(), viteSingleFile({ removeViteModuleLoader: true }), sealed(), runtime(), early(), pair()],
  // Browsers refuse module workers to a page opened from disk; classic ones start.
  worker: { format: 'iife', plugins: () => [sealed(), noticed()] },
  resolve: { alias: { 'onnxruntime-web': 'onnxruntime-web/wasm' } },
  build: {
    outDir: STATIC,
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: { input: 'page.html' },
  },
  test: { include: ['test/**/*.test.ts'] },
})

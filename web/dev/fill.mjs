// Fills the built template with a payload folder (manifest.json and NAME.b64), as Python does:
// node dev/fill.mjs PAYLOAD OUT.html [change.mjs]; change.mjs may export a function (manifest, blobs).
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { crc32, gunzipSync } from 'node:zlib'

const STATIC = new URL('../../src/vaescape/explore/static/', import.meta.url)
const [, , payload, out, change] = process.argv
const manifest = JSON.parse(readFileSync(`${payload}/manifest.json`, 'utf8'))
const blobs = Object.fromEntries(
  Object.keys(manifest.blobs).map((name) => [name, readFileSync(`${payload}/${name}.b64`, 'utf8')]),
)
const wasm = readFileSync(new URL('ort.wasm.gz', STATIC))
const bare = gunzipSync(wasm)
manifest.blobs.ort_wasm = { codec: 'gzip', dtype: 'file', shape: [bare.length], scale: null }
Object.assign(manifest.blobs.ort_wasm, { bytes: bare.length, crc32: crc32(bare) })
blobs.ort_wasm = wasm.toString('base64')
if (change) (await import(pathToFileURL(change))).default(manifest, blobs)

const slots = Object.entries(blobs).map(
  ([name, text]) => `<script type="application/octet-stream;base64" id="blob-${name}">${text}</script>`,
)
const json = JSON.stringify(manifest).replaceAll('<', '\\u003c')
const page = readFileSync(new URL('page.html', STATIC), 'utf8')
  .replace('id="manifest">{}', () => `id="manifest">${json}`)
  .replace('<!-- blobs -->', () => slots.join('\n'))
writeFileSync(out, page)

/** The licences of everything that is bundled into the page, from node_modules. */

import { readdirSync, readFileSync } from 'node:fs'

interface Package {
  version: string
  license: string
  dev?: boolean
}

/** Listed for development, yet part of it is in the page. */
const COMPILED_IN = ['svelte', 'esm-env', 'clsx']
/** Packages of types: nothing of them is in the page. */
const TYPES = /^@types\/|^undici-types$/
/** Licences of packages that state one and carry no text. */
const HOLDERS: Record<string, string> = {
  'onnxruntime-web': 'MIT License\n\nCopyright (c) Microsoft Corporation\n\n',
  'onnxruntime-common': 'MIT License\n\nCopyright (c) Microsoft Corporation\n\n',
  'guid-typescript': 'ISC License\n\nCopyright (c) Nicolas Deveaud\n\n',
}
const TERMS: Record<string, string> = {
  MIT: `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`,
  ISC: `Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.`,
}

/** The packages of which something is, or may be, in the page: name → version and licence. */
export function bundled(lock = 'package-lock.json'): Map<string, Package> {
  const { packages } = JSON.parse(readFileSync(lock, 'utf8')) as { packages: Record<string, Package> }
  const found = Object.entries(packages)
    .map(([path, about]): [string, Package] => [path.replace(/^.*node_modules\//, ''), about])
    .filter(([name, { dev }]) => name && !TYPES.test(name) && (!dev || COMPILED_IN.includes(name)))
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** All notices as one text, packages with the same text together. */
export function notices(packages = bundled()): string {
  const texts = new Map<string, string[]>()
  for (const [name, { version, license }] of packages) {
    const text = textOf(name, license)
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version} (${license})`])
  }
  const parts = [...texts].map(([text, names]) => `${names.join('\n')}\n\n${text}`)
  return `The page contains parts of the following packages.\n\n${parts.join(`\n\n${'-'.repeat(72)}\n\n`)}\n`
}

function textOf(name: string, license: string): string {
  const folder = `node_modules/${name}`
  const file = readdirSync(folder).find((found) => /^(licen[cs]e|copying)/i.test(found))
  if (file) return readFileSync(`${folder}/${file}`, 'utf8').replaceAll('\r\n', '\n').trim()
  if (HOLDERS[name] && TERMS[license]) return HOLDERS[name] + TERMS[license]
  throw new Error(`${name} carries no licence text, and licences.ts has none for it.`)
}

/** The package that a bundled module belongs to; null for the page's own. */
export const packageOf = (module: string): string | null =>
  /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module.replaceAll('\\', '/'))?.[1] ?? null

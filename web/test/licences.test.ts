import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { bundled, notices, packageOf } from '../licences'

/** Packages that the page's own sources import by name. */
function imported(): Set<string> {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ts|svelte)$/.test(name))
  const all = sources.flatMap((name) => [
    ...readFileSync(`src/${name}`, 'utf8').matchAll(/^\s*import (?!type)[^'\n]*'([a-z@][^'./?]*)[^']*'/gm),
  ])
  return new Set(all.map(([, name]) => name))
}

test('every package that the page imports, and what those depend on, has its notice', () => {
  const known = bundled()
  expect(imported().size).toBeGreaterThan(6)
  for (const name of [...imported(), 'protobufjs', 'flatbuffers', 'd3-array', 'onnxruntime-common']) expect([...known.keys()]).toContain(name)
  const text = notices()
  for (const [name, { version }] of known) expect(text).toContain(`${name} ${version} (`)
  for (const holder of ['Microsoft', 'Mike Bostock', 'Svelte Contributors', 'Daniel Wirtz', 'Volodymyr Agafonkin', 'Matt DesLauriers'])
    expect(text).toContain(holder)
})

test('a package without a text is refused', () => {
  expect(() => notices(new Map([['guid-typescript', { version: '1', license: 'WTFPL' }]]))).toThrow(/no licence text/)
})

test('a module is known by its package', () => {
  expect(packageOf('/a/node_modules/@x/y/lib/z.js')).toBe('@x/y')
  expect(packageOf('/a/src/main.ts')).toBeNull()
})

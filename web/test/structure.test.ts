import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'

const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ts|svelte)$/.test(name))
const text = new Map(files.map((name) => [name, readFileSync(join('src', name), 'utf8')]))
const sourcesWith = (pattern: RegExp): string[] => files.filter((name) => pattern.test(text.get(name)!)).sort()

test('only the backend reaches outside the page', () => {
  expect(sourcesWith(/\bfetch\(|new EventSource\(|XMLHttpRequest|WebSocket/)).toEqual(['engine/play.ts', 'engine/server.ts'])
  expect(sourcesWith(/manifest\.live|\blive\b.*manifest/)).toEqual(['engine/open.ts'])
})

test('stores draw on no canvas', () => {
  const stores = sourcesWith(/CanvasRenderingContext2D|\.(beginPath|strokeStyle|fillStyle)\b/).filter((name) => name.startsWith('state/'))
  expect(stores).toEqual([])
})

/** What a module imports, of files whose names match; types count where they are asked for. */
const imports = (name: string, within: RegExp, types: boolean): string[] =>
  [...text.get(name)!.matchAll(/^\s*import (type )?[^']*'(\.[^']+)'/gm)]
    .filter(([, type]) => types || !type)
    .map(([, , to]) => normalize(join(dirname(name), to)))
    .map((to) => (text.has(to) ? to : `${to}.ts`))
    .filter((to) => text.has(to) && within.test(to))

test.each([
  ['no modules of core and engine import one another in a circle, nor for types', /^(core|engine)\//, true],
  ['no modules need one another to be there first', /./, false],
])('%s', (_, within, types) => {
  const seen = new Set<string>()
  const visit = (name: string, path: string[]): void => {
    expect(path, [...path, name].join(' → ')).not.toContain(name)
    if (seen.has(name)) return
    for (const to of imports(name, within, types)) visit(to, [...path, name])
    seen.add(name)
  }
  for (const name of files.filter((file) => within.test(file))) visit(name, [])
})

import { expect, test } from 'vitest'
import {
  checkedRegions,
  checkedViews,
  fits,
  LINK_LIMIT,
  readLink,
  writeLink,
  type SavedView,
} from '../src/core/link'
import { uniforms } from '../src/core/seeded'

const region = (name: string, points = 4) => ({
  name,
  map: 'latent',
  strokes: [
    {
      operation: 'replace' as const,
      outline: Array.from({ length: points }, (_, i): [number, number] => [
        Math.round(1000 * Math.cos(i)) / 1000,
        i / 8,
      ]),
    },
  ],
})
const full: SavedView = {
  x: -1.25,
  y: 0.5,
  k: 4,
  a: [0.1, -2],
  b: [3, 4],
  p: [1, 1],
  w: [
    [0, 1],
    [2, 3],
  ],
  m: 'geo',
  l: 0.5,
  d: '0,3',
  r: [
    region('Sneakers & <boots> "β" ‮'),
    {
      ...region('B'),
      strokes: [
        region('B').strokes[0],
        {
          operation: 'subtract',
          outline: [
            [0, 0],
            [1, 0],
            [0, 1],
          ],
        },
      ],
    },
  ],
}

test('a view comes back from its link', () => {
  const link = writeLink(full)
  expect(link).toMatch(/^#v=1&x=-1.25&y=0.5&k=4&a=0.1,-2&b=3,4&/)
  expect(link).toMatch(/&m=geo&.*&r=[A-Za-z0-9_-]+$/)
  expect(readLink(link)).toEqual(full)
})

test('an empty view is an empty link, and zero is a value', () => {
  expect(readLink(writeLink({}))).toEqual({})
  expect(readLink(writeLink({ x: 0, y: 0 }))).toEqual({ x: 0, y: 0 })
})

test('regions too long for a link are left out and told', () => {
  const big: SavedView = { x: 1, r: [region('big', 2000)] }
  expect(fits(big)).toBe(false)
  expect(fits(full)).toBe(true)
  expect(writeLink(big).length).toBeLessThan(LINK_LIMIT)
  expect(readLink(writeLink(big))).toEqual({ x: 1 })
})

test('foreign and broken links say nothing and never throw', () => {
  for (const link of [
    '',
    '#',
    '#section-2',
    '#v=2&x=1',
    '#x=1',
    '#v=1&x=abc&y=Infinity&k=&a=1,,2&m=fly&r=%%%&d=%E0%A4%A',
    '#v=1&r=bnVsbA',
    '#v=1&r=W251bGxd',
    '#v=1&w=1,a;b&r=',
  ])
    expect(readLink(link).x).toBeUndefined()
  expect(readLink('#v=1&y=2&x=NaN&w=1,2;x')).toEqual({ y: 2, w: [[1, 2]] })
})

test('cutting and garbling a link anywhere never throws', () => {
  const link = writeLink(full)
  const uniform = uniforms(1)
  for (let i = 0; i < 300; i++) {
    const at = Math.floor(uniform() * link.length)
    const garbled =
      link.slice(0, at) +
      String.fromCharCode(32 + Math.floor(uniform() * 9000)) +
      link.slice(at + Math.floor(3 * uniform()))
    for (const text of [garbled, link.slice(0, at)])
      for (const found of readLink(text).r ?? []) expect(typeof found.name).toBe('string')
  }
})

test('regions from outside are checked', () => {
  const good = region('ok')
  expect(
    checkedRegions([
      good,
      null,
      7,
      { name: 1 },
      { ...good, strokes: [{ operation: 'drop', outline: [] }] },
      { ...good, strokes: [{ operation: 'add', outline: [['x', 1]] }] },
    ]),
  ).toEqual([good])
  expect(checkedRegions('no')).toEqual([])
})

test('views from outside are names with links that say something', () => {
  const good = { name: '<b>mine</b>', link: '#v=1&x=0.5&y=1&k=2' }
  const bad = [null, 7, { name: 1, link: '#v=1&x=1' }, { name: 'a', link: 'javascript:alert(1)' }, { name: 'b' }]
  expect(checkedViews([good, ...bad])).toEqual([good])
  expect(checkedViews({})).toEqual([])
})

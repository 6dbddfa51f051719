import { expect, test } from 'vitest'
import {
  difference,
  fit,
  histogram,
  moveAlong,
  sampleGaussian,
  separation,
  statistics,
} from '../src/core/regions'
import { mean, unstack } from '../src/core/rows'
import { normals } from './normals'

const cross = Float32Array.of(9, 9, 1, 0, -1, 0, 0, 2, 0, -2, 0.1, 0)
const members = Uint32Array.of(1, 2, 3, 4, 5)

test('statistics of five points known by hand', () => {
  const s = statistics(cross, 2, members, [0, 2, 2, 1, 1, 2], 2)!
  expect(s.count).toBe(5)
  expect(s.classes).toEqual([
    { label: 2, count: 3 },
    { label: 1, count: 2 },
  ])
  expect(s.centroid[0]).toBeCloseTo(0.02, 6)
  expect(s.centroid[1]).toBe(0)
  expect(s.medoid).toBe(5)
  expect(s.spread ** 2).toBeCloseTo((1 + 1 + 4 + 4 + 0.01 - 5 * 0.02 ** 2) / 10, 6)
  expect(s.atypical).toEqual([2, 3])
})

test('the spread of the standard normal is 1 in any dimension', () => {
  const latents = normals(3, 60_000)
  const all = Uint32Array.from({ length: 4000 }, (_, i) => i)
  expect(statistics(latents, 2, all)!.spread).toBeCloseTo(1, 1)
  expect(statistics(latents, 15, all)!.spread).toBeCloseTo(1, 1)
})

test('nothing chosen, one chosen, no labels', () => {
  expect(statistics(cross, 2, new Uint32Array())).toBeNull()
  const one = statistics(cross, 2, Uint32Array.of(3))!
  expect([one.medoid, one.spread, one.classes.length, one.atypical]).toEqual([3, 0, 0, [3]])
  expect(histogram([0, 1], undefined)).toEqual([])
})

test('a fitted normal gives back its moments, and samples of it have them', () => {
  const noise = normals(5, 40_000)
  const rows = Float32Array.from(
    unstack(noise, 2).flatMap(([u, v]) => [1 + 2 * u!, -3 + u! + 0.5 * v!]),
  )
  for (const table of [rows, sampleGaussian(fit(rows, 2), 9, 20_000)]) {
    const { mean: centre, factor } = fit(table, 2)
    ;[1, -3].forEach((value, d) => expect(centre[d]).toBeCloseTo(value, 1))
    ;[2, 0, 1, 0.5].forEach((value, i) => expect(factor[i]).toBeCloseTo(value, 1))
  }
})

test('a region of one point, or of one line, can be sampled', () => {
  const flat = sampleGaussian(fit(Float32Array.of(1, 1, 2, 2, 3, 3), 2), 1, 50)
  unstack(flat, 2).forEach(([x, y]) => expect(x).toBeCloseTo(y!, 2))
  expect(mean(sampleGaussian(fit(Float32Array.of(4, 5), 2), 1, 50), 2)[0]).toBeCloseTo(4, 3)
})

test('the way from A to B ends in B', () => {
  const a = statistics(cross, 2, Uint32Array.of(1, 2))!
  const b = statistics(cross, 2, Uint32Array.of(0))!
  expect([...difference(a, b)]).toEqual([9, 9])
  expect([...moveAlong(a.centroid, difference(a, b), 1)]).toEqual([...b.centroid])
  expect([...moveAlong([1, 2], [4, 4], 0.5)]).toEqual([3, 4])
  expect(separation(a, a)).toBe(0)
  expect(separation(a, b)).toBeGreaterThan(10)
})

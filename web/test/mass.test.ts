import { expect, test } from 'vitest'
import { regionsOf, threshold, type Masses } from '../src/core/mass'

// A Gaussian of σ = (0.5, 0.25) at (1, −2), on a grid of ±3σ.
const side = 12
const at = (i: number): number => ((i + 0.5) / side) * 6 - 3
const values = Uint8Array.from({ length: side * side }, (_, i) =>
  Math.round(255 * Math.exp(-0.5 * (at(i % side) ** 2 + at(Math.floor(i / side)) ** 2))),
)
const masses: Masses = {
  first: 100,
  count: 1,
  side,
  windows: Float32Array.of(1 - 1.5, 1 + 1.5, -2 - 0.75, -2 + 0.75),
  values,
}

test('the regions of a Gaussian are its ellipses', () => {
  const regions = regionsOf(masses, 100)
  expect(regions).toHaveLength(2)
  const radii = regions.map((ring) =>
    ring.map(([x, y]) => Math.hypot((x - 1) / 0.5, (y + 2) / 0.25)),
  )
  const mean = (row: number[]): number => row.reduce((sum, r) => sum + r, 0) / row.length
  const [inner, outer] = radii.map(mean).sort((a, b) => a - b)
  expect(Math.abs(inner - 1)).toBeLessThan(0.15)
  expect(Math.abs(outer - 2)).toBeLessThan(0.25)
})

test('of an image that is not there, there are none', () => {
  expect(regionsOf(masses, 99)).toEqual([])
  expect(regionsOf(masses, 101)).toEqual([])
})

test('the threshold leaves the share above it', () => {
  expect(threshold(Uint8Array.of(1, 2, 3, 4), 0.4)).toBe(4)
  expect(threshold(Uint8Array.of(1, 2, 3, 4), 0.7)).toBe(3)
})

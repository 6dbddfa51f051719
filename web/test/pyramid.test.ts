import { expect, test } from 'vitest'
import { address, joined, nearestLevel, nearestRow, occupied, readTile, shaded, type Counts, type Near } from '../src/core/pyramid'
import { tileBox } from '../src/core/tiles'

const entry = { count: 1e7, classes: [5e6, 5e6], exponent: 2, deepest: 17, side: 128, pictured: false }

test('a tile has the place on the plane that its address says', () => {
  for (const tile of [
    { level: -5, i: 0, j: 0 },
    { level: -5, i: -1, j: 0 },
    { level: -9, i: 13, j: -16 },
  ]) {
    const [depth, i, j] = address(tile, entry)
    const width = 2 ** (entry.exponent + 1 - depth)
    const [left, bottom, wide] = tileBox(tile, entry.side)
    expect(wide).toBe(width)
    expect(left).toBe(i * width - 2 ** entry.exponent)
    expect(bottom).toBe(j * width - 2 ** entry.exponent)
    expect(occupied(tile, entry)).toBe(true)
  }
  expect(address({ level: -5, i: 0, j: 0 }, entry)).toEqual([1, 1, 1])
  expect(occupied({ level: -5, i: 1, j: 0 }, entry)).toBe(false)
  expect(occupied({ level: -9, i: 13, j: -17 }, entry)).toBe(false)
})

test('levels stay among those that have tiles', () => {
  expect(nearestLevel(40, entry)).toBe(-5)
  expect(nearestLevel(-5, entry)).toBe(-5)
  expect(nearestLevel(-9, entry)).toBe(-9)
  expect(nearestLevel(-99, entry)).toBe(-21)
  const at = (level: number): number => address({ level, i: 0, j: 0 }, entry)[0]
  expect([at(nearestLevel(40, entry)), at(nearestLevel(-99, entry))]).toEqual([1, 17])
})

test('counts and codes are read as they were sent', () => {
  const counts = new ArrayBuffer(8 + 2 * 8)
  new Uint32Array(counts, 0, 4).set([2, 0, 70_000, 1])
  new Uint16Array(counts, 16, 4).set([5, 16383, 1, 0])
  expect(readTile(counts)).toEqual({
    counts: Uint32Array.of(70_000, 1),
    cells: Uint16Array.of(5, 16383),
    labels: Uint16Array.of(1, 0),
  })
  const near = new ArrayBuffer(8 + 14)
  new Uint32Array(near, 0, 2).set([1, 1])
  new Float32Array(near, 8, 2).set([0.5, -1.5])
  new Uint32Array(near, 16, 1).set([9_999_999])
  new Uint16Array(near, 20, 1).set([3])
  expect(readTile(near)).toEqual({
    places: Float32Array.of(0.5, -1.5),
    rows: Uint32Array.of(9_999_999),
    labels: Uint16Array.of(3),
  })
})

const near = (...codes: [number, number, number, number][]): Near => ({
  places: Float32Array.from(codes.flatMap(([u, v]) => [u, v])),
  rows: Uint32Array.from(codes, ([, , row]) => row),
  labels: Uint16Array.from(codes, ([, , , label]) => label),
})

test('the nearest code within reach is hit, and none that is hidden', () => {
  const all = joined([near([0, 0, 11, 0], [1, 0, 12, 1]), near(), near([1, 1, 13, 0])])
  expect(Array.from(all.rows)).toEqual([11, 12, 13])
  const every = (): boolean => true
  expect(nearestRow(all, [0.9, 0.1], 0.5, every)).toBe(12)
  expect(nearestRow(all, [0.9, 0.1], 0.1, every)).toBeNull()
  expect(nearestRow(all, [0.9, 0.1], 2, (label) => label === 0)).toBe(13)
  expect(nearestRow(joined([]), [0, 0], 9, every)).toBeNull()
})

test('a cell has the mean colour of the codes shown, and is stronger the more there are', () => {
  const counts: Counts = {
    counts: Uint32Array.of(3, 1, 40, 1_000_000),
    cells: Uint16Array.of(0, 0, 3, 6),
    labels: Uint16Array.of(0, 1, 0, 1),
  }
  const ink = Uint8Array.of(200, 0, 0, 0, 100, 0)
  const pixel = (pixels: Uint8ClampedArray, column: number, row: number): number[] =>
    Array.from(pixels.subarray(4 * (row * 4 + column), 4 * (row * 4 + column) + 4))
  const both = shaded(counts, 4, ink, Float32Array.of(1, 1), 10)
  expect(pixel(both, 0, 3).slice(0, 3)).toEqual([150, 25, 0]) // the lowest row is the last
  expect(pixel(both, 1, 3)).toEqual([0, 0, 0, 0])
  const strength = [pixel(both, 0, 3)[3], pixel(both, 3, 3)[3], pixel(both, 2, 2)[3]]
  expect(strength[0]).toBeLessThan(strength[1])
  expect(strength[1]).toBeLessThan(strength[2])
  expect(strength[2]).toBe(Math.round(255 * 0.95))
  const one = shaded(counts, 4, ink, Float32Array.of(0, 1), 10)
  expect(pixel(one, 0, 3).slice(0, 3)).toEqual([0, 100, 0])
  expect(pixel(one, 3, 3)).toEqual([0, 0, 0, 0])
})

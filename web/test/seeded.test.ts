import { expect, test } from 'vitest'
import { normals } from './normals'
import { uniforms } from '../src/core/seeded'

test('a seed decides everything', () => {
  expect(normals(7, 5)).toEqual(normals(7, 5))
  expect(normals(7, 5)).not.toEqual(normals(8, 5))
})

test('normals have mean 0, variance 1 and are independent of their neighbours', () => {
  const z = normals(1, 100_000)
  const average = (f: (value: number, i: number) => number): number =>
    z.reduce((sum, value, i) => sum + f(value, i), 0) / z.length
  expect(Math.abs(average((v) => v))).toBeLessThan(0.015)
  expect(average((v) => v * v)).toBeCloseTo(1, 1)
  expect(average((v) => v ** 4)).toBeCloseTo(3, 0)
  expect(Math.abs(average((v, i) => v * z[(i + 1) % z.length]))).toBeLessThan(0.015)
})

test('uniforms never touch 0 or 1', () => {
  const uniform = uniforms(3)
  const all = Array.from({ length: 10_000 }, uniform)
  expect(Math.min(...all)).toBeGreaterThan(0)
  expect(Math.max(...all)).toBeLessThan(1)
})

import { expect, test } from 'vitest'
import { lerp, mean, stack, take, unstack } from '../src/core/rows'

test('rows go in and come out as they were', () => {
  const table = stack([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
  expect(unstack(table, 2).map((r) => [...r])).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
  expect([...take(table, 2, [2, 0])]).toEqual([5, 6, 1, 2])
  expect([...mean(table, 2)]).toEqual([3, 4])
})

test('lerp has exactly its ends', () => {
  const [a, b] = [Float32Array.of(0.1, -7.3), Float32Array.of(1e7, 0.3)]
  expect(lerp(a, b, 0)).toEqual(a)
  expect(lerp(a, b, 1)).toEqual(b)
})

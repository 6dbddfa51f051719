import { expect, test } from 'vitest'
import {
  join,
  length,
  linear,
  nearestOnPath,
  normRatio,
  pingPong,
  resample,
  spherical,
  steps,
} from '../src/core/paths'
import { norm, row, unstack } from '../src/core/rows'

const [a, b] = [
  [3, 0, 0.1],
  [0, -2, 0.3],
]

test('t23: ends are exact for every path', () => {
  for (const path of [linear(a, b, 7), spherical(a, b, 7), resample(linear(a, b, 7), 3, 5)]) {
    expect([...path.subarray(0, 3)]).toEqual([...Float32Array.from(a)])
    expect([...path.subarray(-3)]).toEqual([...Float32Array.from(b)])
  }
})

test('t23: the norm of the arc goes linearly from |a| to |b|, at constant angular speed', () => {
  const arc = unstack(spherical([3, 0], [0, 2], 5), 2)
  arc.forEach((z, i) => expect(norm(z)).toBeCloseTo(3 - i / 4, 5))
  arc.forEach((z, i) => expect(Math.atan2(z[1], z[0])).toBeCloseTo((i * Math.PI) / 8, 5))
})

test('t23: opposite, parallel and zero vectors fall back to the straight line', () => {
  for (const [from, to] of [
    [
      [1, 1],
      [-2, -2],
    ],
    [
      [1, 1],
      [3, 3],
    ],
    [
      [0, 0],
      [1, 2],
    ],
    [[2], [-1]],
  ] as const)
    expect(spherical(from, to, 6)).toEqual(linear(from, to, 6))
})

test('lengths of a broken line', () => {
  expect(steps(Float32Array.of(0, 0, 3, 4, 3, 10), 2)).toEqual([5, 6])
  expect(length(Float32Array.of(0, 0, 3, 4, 3, 10), 2)).toBe(11)
})

test('resampling makes the speed constant and keeps the ends', () => {
  const bent = Float32Array.of(0, 0, 1, 0, 1, 3)
  const even = resample(bent, 2, 9)
  steps(even, 2).forEach((step) => expect(step).toBeCloseTo(0.5, 6))
  expect([...row(even, 2, 2)]).toEqual([1, 0])
})

test('resampling by image lengths gives each piece its share of the points', () => {
  const even = resample(Float32Array.of(0, 1, 2), 1, 5, [3, 1])
  expect([...even].map((z) => Math.round(z * 1e6) / 1e6)).toEqual([0, 0.333333, 0.666667, 1, 2])
})

test('a path whose images never change is spaced by its own lengths', () => {
  expect([...resample(Float32Array.of(0, 1, 4), 1, 5, [0, 0])]).toEqual([0, 1, 2, 3, 4])
})

test('resampling a path that stands still is harmless', () => {
  expect([...resample(Float32Array.of(2, 2, 2, 2), 2, 3)]).toEqual([2, 2, 2, 2, 2, 2])
})

test('paths joined share the point where they meet', () => {
  expect([...join([Float32Array.of(0, 1, 2), Float32Array.of(2, 5)], 1)]).toEqual([0, 1, 2, 5])
})

test('ping-pong shows each end once', () => {
  expect(pingPong(4)).toEqual([0, 1, 2, 3, 2, 1])
  expect(pingPong(1)).toEqual([0])
})

test('unlike norms are told', () => {
  expect(normRatio([3, 4], [0, 1])).toBe(5)
  expect(normRatio([0, 0], [0, 1])).toBe(Infinity)
})

test('the nearest point of a path', () => {
  const found = nearestOnPath(Float32Array.of(0, 0, 4, 0, 4, 4), 2, [5, 1])
  expect(found.piece).toBe(1)
  expect([...found.point]).toEqual([4, 1])
  expect(found.distance).toBe(1)
})

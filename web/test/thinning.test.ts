import { expect, test } from 'vitest'
import { crossEntropy, gaussianKl } from '../src/core/bound'
import { thinned } from '../src/core/thinning'

test('one point of each cell is chosen, the first that may be, and none close to another', () => {
  const positions = Float32Array.from([0.1, 0.1, 0.2, 0.2, -0.1, 0.1, 1.5, 0.1, 0.1, -0.8])
  expect(thinned(positions, 0, 5, 1, () => true)).toEqual([0, 3, 4])
  expect(thinned(positions, 0, 5, 1, (index) => index !== 0)).toEqual([1, 3, 4])
  expect(thinned(positions, 2, 4, 1, () => true)).toEqual([2, 3])
  expect(thinned(positions, 0, 5, 0.05, () => true)).toEqual([0, 1, 2, 3, 4])
})

test('the terms of the negative ELBO are those of their formulas', () => {
  expect(crossEntropy([1, 0, 0.5], [0.8, 0.4, 0.5])).toBeCloseTo(-Math.log(0.8) - Math.log(0.6) + Math.log(2), 12)
  expect(crossEntropy([1, 0], [1, 0])).toBeLessThan(1e-6)
  expect(gaussianKl([0, 0], [1, 1])).toBe(0)
  expect(gaussianKl([1, -2], [0.5, 2])).toBeCloseTo(0.5 * (1 + 4 + 0.25 + 4 - 2) - Math.log(0.5) - Math.log(2), 12)
})

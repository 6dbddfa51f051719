import { expect, test } from 'vitest'
import { active } from '../src/core/moments'
import { normals } from './normals'

const rows = (scales: number[], count = 400): Float32Array => {
  const noise = normals(1, count * scales.length)
  return Float32Array.from(noise, (value, i) => value * scales[i % scales.length])
}

test('a dimension is active where the codes differ by more than the posterior is wide', () => {
  const wide = new Float32Array(800) // σ² = 1
  expect(active(rows([1, 1e-5]), wide, 2)).toEqual([true, false])
  expect(active(rows([0.1, 0.1]), null, 2)).toEqual([true, true])
})

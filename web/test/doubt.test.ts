import { expect, test } from 'vitest'
import { active, doubt } from '../src/core/doubt'
import { normals } from './normals'

const rows = (scales: number[], count = 400): Float32Array => {
  const noise = normals(1, count * scales.length)
  return Float32Array.from(noise, (value, i) => value * scales[i % scales.length])
}
const learned = { logVars: null, D: 2, error: 0.01, variance: 0.1 }

test('a dimension is active where the codes differ by more than the posterior is wide', () => {
  const wide = new Float32Array(800) // σ² = 1
  expect(active({ latents: rows([1, 1e-5]), logVars: wide, D: 2 })).toEqual([true, false])
  expect(active({ latents: rows([0.1, 0.1]), logVars: null, D: 2 })).toEqual([true, true])
})

test('collapse and want of training are told, and nothing else is', () => {
  expect(doubt({ ...learned, latents: rows([1, 1]) })).toBeNull()
  const collapsed = { ...learned, latents: rows([1e-5, 1e-5]), logVars: new Float32Array(800) }
  expect(doubt(collapsed)).toMatch(/collapsed.*none of the 2 latent dimensions/)
  expect(doubt({ ...learned, latents: rows([1, 1]), error: 0.101 })).toMatch(/no better than the mean image/)
  expect(doubt({ ...learned, latents: rows([1, 1]), error: null, variance: null })).toBeNull()
})

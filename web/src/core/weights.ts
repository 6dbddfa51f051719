/** Weights of a network that travel one after the other, apart from it. */

import type { WeightShapes } from './manifest'

export interface Weight {
  name: string
  data: Float32Array<ArrayBuffer>
  shape: number[]
}

export const sizeOf = (shapes: WeightShapes): number =>
  shapes.reduce((sum, [, shape]) => sum + count(shape), 0)

const count = (shape: number[]): number => shape.reduce((product, side) => product * side, 1)

/** The named weights in a row of numbers. */
export function cutWeights(numbers: Float32Array, shapes: WeightShapes): Weight[] {
  let from = 0
  return shapes.map(([name, shape]) => {
    const data = numbers.slice(from, (from += count(shape))) as Float32Array<ArrayBuffer>
    return { name, data, shape }
  })
}

/** What the server says of a run in training: weights, then codes, then spreads where there are any. */
export interface Learned {
  weights: Weight[][]
  latents: Float32Array
  logVars: Float32Array | null
}

/** The parts of `GET checkpoint`: the networks' weights in the order given, then N × D numbers once or twice. */
export function readCheckpoint(numbers: Float32Array, networks: WeightShapes[], codes: number): Learned {
  let from = 0
  const weights = networks.map((shapes) => {
    const size = sizeOf(shapes)
    return cutWeights(numbers.subarray(from, (from += size)), shapes)
  })
  const latents = numbers.slice(from, from + codes)
  const rest = numbers.slice(from + codes)
  if (latents.length !== codes || ![0, codes].includes(rest.length))
    throw new Error(`Expected ${from + codes} or ${from + 2 * codes} numbers, got ${numbers.length}.`)
  return { weights, latents, logVars: rest.length ? rest : null }
}

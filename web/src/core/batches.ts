/** What a training in the page begins with and is fed, by seeded chance. */

import type { Trainable } from './manifest'
import { normal } from './random'
import { uniforms } from './seeded'

/** Images of the page that take part in a training, at most: the last ones, which are test images. */
export const MOST = 10_000

/** 0 … count − 1 in an order of chance. */
function shuffled(count: number, random: () => number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return order
}

/** Which of so many images are held out, a tenth, and which are trained on: always the same. */
export function split(count: number): { trained: Uint32Array; held: Uint32Array } {
  const order = shuffled(count, uniforms(0))
  const tenth = Math.floor(count / 10)
  return { trained: order.slice(tenth), held: order.slice(0, tenth).sort() }
}

/** Slices of an endless stream of permutations: each image comes once in an epoch. */
export class Batches {
  private order = new Uint32Array()
  private at = 0

  constructor(
    private readonly count: number,
    private readonly size: number,
    private readonly random: () => number,
  ) {}

  next(): Uint32Array {
    const rows = new Uint32Array(this.size)
    for (let n = 0; n < this.size; n++) {
      if (this.at === this.order.length) [this.order, this.at] = [shuffled(this.count, this.random), 0]
      rows[n] = this.order[this.at++]
    }
    return rows
  }
}

/** Noise of so many images: a number in (0, 1), then for each latent dimension the sum of two. */
export function noise(count: number, D: number, random: () => number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count * (1 + D))
  for (let i = 0; i < values.length; i++) values[i] = i % (1 + D) ? random() + random() : random()
  return values
}

/** The state of a training before its first step; `mean` is the mean training image. */
export function beginning(
  start: Trainable['start'],
  mean: Float32Array,
  random: () => number,
): Float32Array<ArrayBuffer> {
  const kinds = {
    normal: (scale: number): number => scale * normal(random),
    uniform: (bound: number): number => bound * (2 * random() - 1),
    constant: (value: number): number => value,
    mean(least: number, i: number): number {
      const share = Math.min(1 - least, Math.max(least, mean[i]))
      return Math.log(share / (1 - share))
    },
  }
  const state = new Float32Array(start.reduce((sum, [, , count]) => sum + count, 0))
  let at = 0
  for (const [kind, number, count] of start)
    for (let i = 0; i < count; i++) state[at++] = kinds[kind](number, i)
  return state
}

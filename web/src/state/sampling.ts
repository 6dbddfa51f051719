/** Samples from the prior, and beside them from the aggregate posterior of the visible classes. */

import { drawRows, normal, standardNormal } from '../core/random'
import type { Explorer } from './explorer.svelte'

const SAMPLES = 8

export async function sample(explorer: Explorer): Promise<void> {
  explorer.putSamples(await ofPrior(explorer), ofData(explorer))
}

export const hasPrior = ({ manifest, source }: Explorer): boolean =>
  Boolean(manifest.model.prior?.standard_normal) || source.has('prior_samples')

/** So many codes drawn from the prior. */
export async function ofPrior({ source, points }: Explorer, count = SAMPLES): Promise<Float32Array> {
  if (!source.has('prior_samples')) return standardNormal(count, points.D)
  return drawRows(await source.floats('prior_samples'), points.D, count)
}

/** z = μ + σ ε for images drawn among those on show. */
function ofData(explorer: Explorer): Float32Array {
  const { points } = explorer
  const on = Array.from({ length: points.count }, (_, index) => index).filter(explorer.classes.isShown)
  if (!on.length) return new Float32Array()
  const drawn = new Float32Array(SAMPLES * points.D)
  for (let n = 0; n < SAMPLES; n++) {
    const index = on[Math.floor(Math.random() * on.length)]
    const sigma = points.sigma(index)
    drawn.set(points.z(index).map((mean, d) => mean + (sigma ? sigma[d] * normal() : 0)), n * points.D)
  }
  return drawn
}

/** Second moments of tables of latents. */

import { Matrix } from 'ml-matrix'
import { mean } from './rows'

/** The mean of the rows and their covariance, the sum of products over n − 1. */
export function moments(rows: Float32Array, dims: number): { centre: Float32Array; covariance: Matrix } {
  const centre = mean(rows, dims)
  const count = rows.length / dims
  const covariance = Matrix.zeros(dims, dims)
  for (let i = 0; i < count; i++)
    for (let a = 0; a < dims; a++)
      for (let b = 0; b <= a; b++) {
        const product = (rows[i * dims + a] - centre[a]) * (rows[i * dims + b] - centre[b])
        covariance.set(a, b, covariance.get(a, b) + product / Math.max(1, count - 1))
      }
  for (let a = 0; a < dims; a++) for (let b = 0; b < a; b++) covariance.set(b, a, covariance.get(a, b))
  return { centre, covariance }
}

/** Mean squared distance of the rows from a centre, axis by axis. */
export const variances = (rows: Float32Array, dims: number, centre: Float32Array): Float32Array =>
  mean(
    rows.map((value, i) => (value - centre[i % dims]) ** 2),
    dims,
  )

/** Share of the spread of z that an active dimension owes to the images (Burda et al. 2016 ask for a variance of 0.01). */
const ACTIVE = 0.01

/** Which dimensions depend on the image: by the variance of the codes within that of all draws of z. */
export function active(latents: Float32Array, logVars: Float32Array | null, dims: number): boolean[] {
  const between = Array.from(variances(latents, dims, mean(latents, dims)))
  const within = logVars ? Array.from(mean(logVars.map(Math.exp), dims)) : between.map(() => 0)
  return between.map((variance, d) => variance > ACTIVE * (variance + within[d]) && variance > 0)
}

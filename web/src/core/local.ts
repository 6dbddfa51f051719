/** Directions in latent space that mean something: of the data near a point, and of the classes. */

import { EigenvalueDecomposition } from 'ml-matrix'
import { moments, variances } from './moments'
import { nearestRows } from './neighbours'
import { mean, take, type Numbers } from './rows'

export interface Directions {
  centre: Float32Array
  /** One unit vector a row, the widest first. */
  axes: Float32Array
  /** Standard deviation along each, in latent units. */
  deviations: Float32Array
}

/** Principal directions of a table of latents: orthonormal, the widest first, the sign such that the largest entry is positive. */
export function principal(rows: Float32Array, dims: number): Directions {
  const { centre, covariance } = moments(rows, dims)
  const found = new EigenvalueDecomposition(covariance, { assumeSymmetric: true })
  const order = Array.from({ length: dims }, (_, i) => dims - 1 - i)
  const axes = new Float32Array(dims * dims)
  order.forEach((column, i) =>
    axes.set(facing(found.eigenvectorMatrix.getColumn(column)), i * dims),
  )
  const variances = order.map((column) => Math.max(0, found.realEigenvalues[column]))
  return { centre, axes, deviations: Float32Array.from(variances, Math.sqrt) }
}

/** The vector or its opposite, whichever has its largest entry positive. */
function facing(vector: number[]): number[] {
  const largest = vector.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a))
  return largest < 0 ? vector.map((value) => -value) : vector
}

/** Principal directions of the latents nearest to a point (as in LatentGandr, 2026). */
export const localDirections = (
  latents: Float32Array,
  dims: number,
  point: Numbers,
  neighbours = 200,
): Directions =>
  principal(
    take(
      latents,
      dims,
      nearestRows(latents, dims, point, neighbours).map(({ index }) => index),
    ),
    dims,
  )

/** Correlation of each axis with belonging to each class (point-biserial): a table (D, classes) in [−1, 1]. */
export function classCorrelations(
  latents: Float32Array,
  dims: number,
  labels: Numbers,
  classes: number,
): Float32Array {
  const count = latents.length / dims
  const centre = mean(latents, dims)
  const variance = variances(latents, dims, centre)
  const sums = new Float64Array(dims * classes)
  const members = new Float64Array(classes)
  for (let i = 0; i < count; i++) {
    members[labels[i]]++
    for (let d = 0; d < dims; d++)
      sums[d * classes + labels[i]] += latents[i * dims + d] - centre[d]
  }
  return Float32Array.from(sums, (sum, at) => {
    const share = members[at % classes] / count
    const scale = Math.sqrt(share * (1 - share) * variance[Math.floor(at / classes)])
    return scale > 0 ? sum / count / scale : 0
  })
}

/** Axes with anything in them, ordered by what they carry (nats of KL), the rest apart; 0.01 nats is nothing. */
export function activeAxes(
  kl: Numbers,
  threshold = 0.01,
): { active: number[]; inactive: number[] } {
  const order = Array.from({ length: kl.length }, (_, d) => d).sort(
    (a, b) => kl[b] - kl[a] || a - b,
  )
  return {
    active: order.filter((d) => kl[d] > threshold),
    inactive: order.filter((d) => !(kl[d] > threshold)),
  }
}

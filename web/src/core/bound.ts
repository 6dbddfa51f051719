/** The terms of the negative ELBO of one image, in nats. */

/** A pixel's probability is kept this far from 0 and 1, as far as float32 tells it from them. */
const LEAST = 2 ** -24

/** Binary cross-entropy summed over pixels: −Σ x log p + (1 − x) log(1 − p). */
export function crossEntropy(x: ArrayLike<number>, p: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < x.length; i++) {
    const at = Math.min(Math.max(p[i], LEAST), 1 - LEAST)
    sum -= x[i] * Math.log(at) + (1 - x[i]) * Math.log(1 - at)
  }
  return sum
}

/** KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ μ² + σ² − 1 − log σ² (Kingma & Welling 2014, appendix B). */
export function gaussianKl(mean: ArrayLike<number>, sigma: ArrayLike<number>): number {
  let sum = 0
  for (let d = 0; d < mean.length; d++)
    sum += (mean[d] ** 2 + sigma[d] ** 2 - 1) / 2 - Math.log(sigma[d])
  return sum
}

/** Posterior ellipses on the plane. */

export interface Ellipse {
  /** Half axes at one standard deviation, in units of the plane. */
  major: number
  minor: number
  /** Angle of the major axis from the first axis of the plane, counter-clockwise, in radians. */
  angle: number
}

/** The ellipse of BᵀΣB for a diagonal Σ = diag(σ²): eigenvalues of a symmetric 2 × 2 matrix. */
export function ellipse(sigma: Float32Array, B: Float32Array): Ellipse {
  let [a, b, c] = [0, 0, 0]
  for (let d = 0; d < sigma.length; d++) {
    const variance = sigma[d] ** 2
    a += B[2 * d] ** 2 * variance
    b += B[2 * d] * B[2 * d + 1] * variance
    c += B[2 * d + 1] ** 2 * variance
  }
  const half = Math.hypot((a - c) / 2, b)
  return {
    major: Math.sqrt((a + c) / 2 + half),
    minor: Math.sqrt(Math.max((a + c) / 2 - half, 0)),
    angle: Math.atan2(2 * b, a - c) / 2,
  }
}

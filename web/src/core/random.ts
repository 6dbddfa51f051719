/** Chance: samples from the prior and from the data's own codes. */

/** A standard normal number (Box and Muller 1958). */
export function normal(random: () => number = Math.random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

/** `count` codes of N(0, I), one after the other. */
export const standardNormal = (count: number, D: number, random = Math.random): Float32Array =>
  Float32Array.from({ length: count * D }, () => normal(random))

/** `count` rows of a matrix, drawn with replacement. */
export function drawRows(rows: Float32Array, D: number, count: number, random = Math.random): Float32Array {
  const drawn = new Float32Array(count * D)
  for (let n = 0; n < count; n++) {
    const row = Math.floor(random() * (rows.length / D))
    drawn.set(rows.subarray(row * D, (row + 1) * D), n * D)
  }
  return drawn
}

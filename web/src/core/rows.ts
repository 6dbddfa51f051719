/** Tables of numbers as one flat array, row after row: latents, frames of a film, images. */

export type Numbers = ArrayLike<number>

/** Row i of a table, as a view. */
export const row = (rows: Float32Array, width: number, i: number): Float32Array =>
  rows.subarray(i * width, (i + 1) * width)

/** One table from rows of equal width. */
export function stack(rows: readonly Numbers[]): Float32Array {
  const width = rows[0]?.length ?? 0
  const table = new Float32Array(rows.length * width)
  rows.forEach((values, i) => table.set(values, i * width))
  return table
}

/** The rows of a table, each as a view. */
export const unstack = (rows: Float32Array, width: number): Float32Array[] =>
  Array.from({ length: rows.length / width }, (_, i) => row(rows, width, i))

/** Rows picked by number, copied in that order. */
export function take(rows: Float32Array, width: number, picked: Numbers): Float32Array {
  const table = new Float32Array(picked.length * width)
  for (let i = 0; i < picked.length; i++) table.set(row(rows, width, picked[i]), i * width)
  return table
}

export function dot(a: Numbers, b: Numbers): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

export const norm = (a: Numbers): number => Math.sqrt(dot(a, a))

export function squaredDistance(a: Numbers, b: Numbers): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return sum
}

export const distance = (a: Numbers, b: Numbers): number => Math.sqrt(squaredDistance(a, b))

/** a + share · b. */
export const along = (a: Numbers, b: Numbers, share: number): Float32Array =>
  Float32Array.from(a, (value, i) => value + share * b[i])

export const subtract = (a: Numbers, b: Numbers): Float32Array => along(a, b, -1)

/** (1 − t) a + t b, exactly a at 0 and exactly b at 1. */
export const lerp = (a: Numbers, b: Numbers, t: number): Float32Array =>
  Float32Array.from(a, (value, i) =>
    t < 0.5 ? value + t * (b[i] - value) : b[i] - (1 - t) * (b[i] - value),
  )

/** The mean of the rows. */
export function mean(rows: Float32Array, width: number): Float32Array {
  const sums = new Float64Array(width)
  for (let i = 0; i < rows.length; i++) sums[i % width] += rows[i]
  return Float32Array.from(sums, (sum) => sum / (rows.length / width))
}

/** What a reconstruction lacks and what it adds. */

/** RGBA: orange where the original is brighter, blue where the reconstruction is. */
export function signed(
  original: ArrayLike<number>,
  reconstruction: ArrayLike<number>,
  C: number,
  area: number,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * area)
  for (let i = 0; i < area; i++) {
    let difference = 0
    for (let c = 0; c < C; c++) difference += (original[c * area + i] - reconstruction[c * area + i]) / C
    const strength = Math.min(1, 1.6 * Math.abs(difference))
    const [r, g, b] = difference > 0 ? [255, 169, 14] : [63, 144, 255]
    pixels.set([r * strength, g * strength, b * strength, 255], 4 * i)
  }
  return pixels
}

/** Mean squared difference, in squared pixels. */
export function mse(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return sum / a.length
}

/** Numbers as Python packed them, back to float32. */

/** float32 of an IEEE 754 half. */
export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

let every: Float32Array | null = null

/** float32 of each half: looked up, for there are 65,536, and a frame of a training has more numbers. */
export function halves(packed: Uint16Array): Float32Array {
  const table = (every ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => half(bits)))
  const found = new Float32Array(packed.length)
  for (let n = 0; n < packed.length; n++) found[n] = table[packed[n]]
  return found
}

/** Ten shapes, so that a class is never told by its colour alone. */

export interface Kernel {
  /** Side of the mask, odd, in device pixels. */
  size: number
  /** Coverage of each pixel, 0 … 255, row by row. */
  mask: Uint8Array
}

type Inside = (x: number, y: number) => boolean

const polygon =
  (corners: number, turn: number): Inside =>
  (x, y) => {
    const sector = (2 * Math.PI) / corners
    const angle = Math.atan2(y, x) - turn
    const within = angle - sector * Math.floor(angle / sector) - sector / 2
    return Math.hypot(x, y) * Math.cos(within) <= 1.05 * Math.cos(sector / 2)
  }

const plus: Inside = (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 0.34 && Math.max(Math.abs(x), Math.abs(y)) < 1
const turned = (inside: Inside): Inside => (x, y) => inside((x + y) / Math.SQRT2, (x - y) / Math.SQRT2)
const UP = -Math.PI / 2

const SHAPES: Inside[] = [
  (x, y) => Math.hypot(x, y) <= 0.95,
  (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.82,
  polygon(3, UP),
  polygon(4, UP),
  plus,
  turned(plus),
  polygon(3, -UP),
  (x, y) => Math.abs(Math.hypot(x, y) - 0.7) <= 0.27,
  polygon(5, UP),
  (x, y) => Math.max(Math.abs(x) / 1, Math.abs(y) / 0.5) <= 1,
]

const SAMPLES = 4

/** The mask of shape `shape` (mod 10) with the radius, in device pixels. */
export function kernel(shape: number, radius: number): Kernel {
  const half = Math.max(0, Math.ceil(1.05 * radius - 0.5))
  const size = 2 * half + 1
  const inside = SHAPES[shape % SHAPES.length]
  const mask = new Uint8Array(size * size)
  for (let i = 0; i < mask.length; i++)
    mask[i] = coverage(inside, (i % size) - half, Math.floor(i / size) - half, radius)
  return { size, mask }
}

/** Share of the pixel around (x, y) inside the shape, by 4 × 4 samples, 0 … 255. */
function coverage(inside: Inside, x: number, y: number, radius: number): number {
  let hits = 0
  for (let i = 0; i < SAMPLES * SAMPLES; i++) {
    const dx = ((i % SAMPLES) + 0.5) / SAMPLES - 0.5
    const dy = (Math.floor(i / SAMPLES) + 0.5) / SAMPLES - 0.5
    if (inside((x + dx) / radius, (y + dy) / radius)) hits++
  }
  return Math.round((255 * hits) / SAMPLES ** 2)
}

/** Points straight into pixels: tens of thousands of small discs in less than a frame. */

import type { Kernel } from './glyphs'
import type { View } from './view'

export interface Style {
  /** r, g, b of each kind of point. */
  colours: Uint8Array
  /** Opacity of each kind, 0 … 255; nothing is drawn at 0. */
  alphas: Uint8Array
  kernels: Kernel[]
}

export interface Pixels {
  data: Uint8ClampedArray
  width: number
  height: number
}

/** Draws the points of the plane over what is there; `kinds` says which style each has.
 *
 * The view is in device pixels. `fade` (0 … 255 per point) weakens points one by one.
 */
export function rasterise(
  target: Pixels,
  positions: Float32Array,
  kinds: ArrayLike<number> | null,
  style: Style,
  view: View,
  fade: Uint8Array | null = null,
): void {
  const { data, width, height } = target
  const pixels = new Uint32Array(data.buffer, data.byteOffset, width * height)
  const stamps = style.kernels.map((kernel, kind) => stampOf(kernel, style.colours, kind, width))
  for (let n = 0; n < positions.length / 2; n++) {
    const x = Math.round(view.x + positions[2 * n] * view.scale)
    const y = Math.round(view.y - positions[2 * n + 1] * view.scale)
    if (x < -16 || y < -16 || x > width + 16 || y > height + 16) continue
    const kind = kinds ? kinds[n] : 0
    const alpha = fade ? of255(style.alphas[kind] * fade[n]) : style.alphas[kind]
    if (alpha === 0) continue
    const { half } = stamps[kind]
    const whole = x >= half && y >= half && x < width - half && y < height - half
    if (whole) stamp(pixels, stamps[kind], y * width + x, alpha)
    else stampAtEdge(pixels, stamps[kind], x, y, alpha, width, height)
  }
}

/** A kernel's pixels that are not empty, and its colour as a pixel without opacity. */
interface Stamp {
  half: number
  masks: Uint8Array
  columns: Int32Array
  rows: Int32Array
  /** How far each lies from the middle, in pixels of the target. */
  offsets: Int32Array
  colour: number
}

function stampOf({ size, mask }: Kernel, colours: Uint8Array, kind: number, width: number): Stamp {
  const half = size >> 1
  const at = Int32Array.from(mask.keys()).filter((i) => mask[i] > 0)
  const columns = at.map((i) => (i % size) - half)
  const rows = at.map((i) => Math.floor(i / size) - half)
  const [r, g, b] = colours.subarray(3 * kind)
  return {
    half,
    masks: Uint8Array.from(at, (i) => mask[i]),
    columns,
    rows,
    offsets: rows.map((row, i) => row * width + columns[i]),
    colour: r | (g << 8) | (b << 16),
  }
}

function stamp(pixels: Uint32Array, { masks, offsets, colour }: Stamp, at: number, alpha: number): void {
  for (let i = 0; i < masks.length; i++) over(pixels, at + offsets[i], colour, of255(masks[i] * alpha))
}

function stampAtEdge(
  pixels: Uint32Array,
  { masks, columns, rows, colour }: Stamp,
  x: number,
  y: number,
  alpha: number,
  width: number,
  height: number,
): void {
  for (let i = 0; i < masks.length; i++) {
    const [column, row] = [x + columns[i], y + rows[i]]
    if (column < 0 || row < 0 || column >= width || row >= height) continue
    over(pixels, row * width + column, colour, of255(masks[i] * alpha))
  }
}

/** Product of two shares of 255, as a share of 255. */
const of255 = (product: number): number => ((product + 128) * 257) >>> 16

/** Of opacities above and below, 256 · above + below: the opacity of both, and the share of the upper colour in 65536. */
const BOTH = new Uint8Array(65536)
const SHARE = new Uint32Array(65536)
for (let above = 1; above < 256; above++)
  for (let below = 0; below < 256; below++) {
    const total = above + (below * (255 - above)) / 255
    BOTH[256 * above + below] = Math.round(total)
    SHARE[256 * above + below] = Math.round((65536 * above) / total)
  }

/** Colour over colour, not premultiplied, four bytes at a time: red is the lowest. */
function over(pixels: Uint32Array, at: number, colour: number, above: number): void {
  const below = pixels[at]
  const both = (above << 8) | (below >>> 24)
  const share = SHARE[both]
  const r = mixed(below & 255, colour & 255, share)
  const g = mixed((below >>> 8) & 255, (colour >>> 8) & 255, share)
  const b = mixed((below >>> 16) & 255, colour >>> 16, share)
  pixels[at] = r | (g << 8) | (b << 16) | (BOTH[both] << 24)
}

const mixed = (below: number, above: number, share: number): number =>
  below + (((above - below) * share + 32768) >> 16)

/** How many of the points are on the screen. */
export function countVisible(positions: Float32Array, view: View): number {
  const left = -view.x / view.scale
  const right = (view.width - view.x) / view.scale
  const top = view.y / view.scale
  const bottom = (view.y - view.height) / view.scale
  let count = 0
  for (let i = 0; i < positions.length; i += 2) {
    const u = positions[i]
    const v = positions[i + 1]
    if (u >= left && u <= right && v >= bottom && v <= top) count++
  }
  return count
}

/** Opacity that keeps crowds readable: the more of the screen the discs would cover, the less. */
export function adaptiveAlpha(visible: number, radius: number, view: View): number {
  const cover = (visible * Math.PI * radius ** 2) / (view.width * view.height)
  return Math.min(0.95, Math.max(0.2, 0.45 / Math.sqrt(cover + 1e-6)))
}

/** "#rrggbb" as three bytes. */
export const rgb = (hex: string): [number, number, number] => [
  parseInt(hex.slice(1, 3), 16),
  parseInt(hex.slice(3, 5), 16),
  parseInt(hex.slice(5, 7), 16),
]

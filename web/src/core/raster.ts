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
  const { colours, alphas, kernels } = style
  for (let n = 0; n < positions.length / 2; n++) {
    const x = Math.round(view.x + positions[2 * n] * view.scale)
    const y = Math.round(view.y - positions[2 * n + 1] * view.scale)
    if (x < -16 || y < -16 || x > target.width + 16 || y > target.height + 16) continue
    const kind = kinds ? kinds[n] : 0
    const alpha = fade ? (alphas[kind] * fade[n]) / 255 : alphas[kind]
    if (alpha >= 1) stamp(target, kernels[kind], x, y, colours, 3 * kind, alpha)
  }
}

/** Lays one mask over the pixels around (x, y): colour over colour, not premultiplied. */
function stamp(
  { data, width, height }: Pixels,
  { size, mask }: Kernel,
  x: number,
  y: number,
  colours: Uint8Array,
  at: number,
  alpha: number,
): void {
  const half = size >> 1
  const left = Math.max(0, half - x)
  const right = Math.min(size, width + half - x)
  const bottom = Math.min(size, height + half - y)
  for (let row = Math.max(0, half - y); row < bottom; row++) {
    let to = 4 * ((y - half + row) * width + x - half + left)
    for (let column = left; column < right; column++, to += 4) {
      const above = mask[row * size + column] * alpha
      if (above) over(data, to, colours, at, above / 65025)
    }
  }
}

function over(
  data: Uint8ClampedArray,
  to: number,
  colours: Uint8Array,
  at: number,
  above: number,
): void {
  const below = (data[to + 3] / 255) * (1 - above)
  const total = above + below
  const share = above / total
  data[to] += (colours[at] - data[to]) * share
  data[to + 1] += (colours[at + 1] - data[to + 1]) * share
  data[to + 2] += (colours[at + 2] - data[to + 2]) * share
  data[to + 3] = total * 255
}

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

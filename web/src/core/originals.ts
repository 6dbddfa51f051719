/** The real images, cut from one picture that holds them row by row. */

import type { Manifest } from './manifest'

export class Originals {
  private readonly C: number
  readonly height: number
  readonly width: number
  readonly first: number
  readonly count: number
  private readonly columns: number

  constructor(
    readonly atlas: ImageBitmap,
    manifest: Manifest,
  ) {
    ;[this.C, this.height, this.width] = manifest.data.shape
    ;({ first: this.first, count: this.count, columns: this.columns } = manifest.originals!)
  }

  has(index: number): boolean {
    return index >= this.first && index < this.first + this.count
  }

  /** Where the image lies in the atlas, in pixels. */
  corner(index: number): [number, number] {
    const cell = index - this.first
    return [(cell % this.columns) * this.width, Math.floor(cell / this.columns) * this.height]
  }

  draw(
    context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
    index: number,
    x: number,
    y: number,
    width: number,
    height: number,
  ): void {
    const [left, top] = this.corner(index)
    context.drawImage(this.atlas, left, top, this.width, this.height, x, y, width, height)
  }

  /** C × H × W numbers in [0, 1], or null for an image this page does not hold. */
  pixels(index: number): Float32Array | null {
    if (!this.has(index)) return null
    return cut(this.atlas, ...this.corner(index), this.width, this.height, this.C)
  }

  /** All images as bytes, one row of C × H × W each, for comparing pixels. */
  bytes(): Uint8Array {
    const { C, width, height, count, columns } = this
    const size = C * width * height
    const all = new Uint8Array(count * size)
    const canvas = new OffscreenCanvas(columns * width, height)
    const context = canvas.getContext('2d', { willReadFrequently: true })!
    for (let first = 0; first < count; first += columns) {
      const top = (first / columns) * height
      context.drawImage(this.atlas, 0, top, columns * width, height, 0, 0, columns * width, height)
      const row = context.getImageData(0, 0, columns * width, height).data
      for (let cell = 0; cell < Math.min(columns, count - first); cell++)
        copyCell(row, columns * width, cell * width, C, width, height, all, (first + cell) * size)
    }
    return all
  }
}

function copyCell(
  from: Uint8ClampedArray,
  stride: number,
  left: number,
  C: number,
  width: number,
  height: number,
  to: Uint8Array,
  at: number,
): void {
  for (let c = 0; c < C; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) to[at++] = from[4 * (y * stride + left + x) + c]
}

/** C × H × W numbers in [0, 1] of a part of a picture. */
export function cut(
  picture: ImageBitmap,
  left: number,
  top: number,
  width: number,
  height: number,
  C: number,
): Float32Array {
  const context = new OffscreenCanvas(width, height).getContext('2d')!
  context.drawImage(picture, left, top, width, height, 0, 0, width, height)
  return planar(context.getImageData(0, 0, width, height).data, C)
}

/** C × H × W numbers in [0, 1] of RGBA pixels. */
export function planar(rgba: Uint8ClampedArray, C: number): Float32Array {
  const area = rgba.length / 4
  const values = new Float32Array(C * area)
  for (let c = 0; c < C; c++)
    for (let i = 0; i < area; i++) values[c * area + i] = rgba[4 * i + c] / 255
  return values
}

/** RGBA pixels of C × H × W numbers in [0, 1]; grey for one channel. */
export function rgba(image: ArrayLike<number>, C: number, area: number, from = 0): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * area)
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) pixels[4 * i + c] = image[from + (C === 1 ? i : c * area + i)] * 255
    pixels[4 * i + 3] = 255
  }
  return pixels
}

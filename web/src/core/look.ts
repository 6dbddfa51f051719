/** How the images of a set look, so that a picture from elsewhere can be made to look like them. */

/** Channel after channel, line after line, values in [0, 1]. */
export interface Raster {
  channels: number
  height: number
  width: number
  data: Float32Array
}

/** The median brightness of the outermost pixels, each corner twice, channels averaged: as data/preparation.py. */
export function borderTone({ channels, height, width, data }: Raster): number {
  const area = height * width
  const at = (i: number): number => {
    let sum = 0
    for (let c = 0; c < channels; c++) sum += data[c * area + i]
    return sum / channels
  }
  const rim = new Float32Array(2 * (width + height))
  let n = 0
  for (let x = 0; x < width; x++) for (const y of [0, height - 1]) rim[n++] = at(y * width + x)
  for (let y = 0; y < height; y++) for (const x of [0, width - 1]) rim[n++] = at(y * width + x)
  return rim.sort()[(n - 1) >> 1]
}

export interface Look {
  /** Whether they have a bright border: dark marks on white. */
  bright: boolean
  /** Whether they are filled shapes rather than strokes. */
  solid: boolean
  /** The usual value of their marks, in [0, 1]. */
  level: number
  /** What nearly all images have at their borders, as the run recorded it; null: no one background. */
  background: 'dark' | 'bright' | null
}

/** Marks of a filled shape that are left when two pixels are taken off all edges; of strokes, none are. */
const SOLID = 0.15
const INK = 0.12

/** The look of grey images (1, H, W) each, but for their background. */
export function lookOf(
  images: readonly Float32Array[],
  height: number,
  width: number,
): Omit<Look, 'background'> {
  const rasters = images.map((data): Raster => ({ channels: 1, height, width, data }))
  const bright = median(rasters.map((raster) => Number(borderTone(raster) > 0.5))) > 0.5
  const marks = rasters.map(({ data }) => (bright ? data.map((value) => 1 - value) : data))
  const cores = marks.map((data) => {
    const ink = Uint8Array.from(data, (value) => Number(value > INK))
    return sum(eroded(eroded(ink, width), width)) / Math.max(1, sum(ink))
  })
  const levels = marks.map((data) => {
    const ink = data.filter((value) => value > INK)
    return ink.length ? sum(ink) / ink.length : 1
  })
  return { bright, solid: median(cores) > SOLID, level: median(levels) }
}

/**
 * A drawing as the images of a set are: what its outlines enclose is filled where they are filled, gaps
 * of `gap` pixels in an outline closed for that, and its marks have their usual value.
 */
export function graded({ height, width, data, channels }: Raster, { solid, level }: Pick<Look, 'solid' | 'level'>, gap = 4): Raster {
  const ink = Uint8Array.from(data, (value) => Number(value > 0.5))
  const shape = solid ? filled(ink, height, width, gap) : ink
  return { channels, height, width, data: Float32Array.from(shape, (value) => value * level) }
}

function filled(ink: Uint8Array, height: number, width: number, gap: number): Uint8Array {
  let barrier = ink
  for (let i = 0; i < gap; i++) barrier = dilated(barrier, width)
  const outside = new Uint8Array(ink.length)
  const stack: number[] = []
  const visit = (at: number): void => {
    if (outside[at] || barrier[at]) return
    outside[at] = 1
    stack.push(at)
  }
  for (let x = 0; x < width; x++) [x, (height - 1) * width + x].forEach(visit)
  for (let y = 0; y < height; y++) [y * width, y * width + width - 1].forEach(visit)
  while (stack.length) {
    const at = stack.pop()!
    const x = at % width
    if (x > 0) visit(at - 1)
    if (x < width - 1) visit(at + 1)
    if (at >= width) visit(at - width)
    if (at < ink.length - width) visit(at + width)
  }
  let inside = Uint8Array.from(outside, (out, at) => Number(!out && !barrier[at]))
  for (let i = 0; i < gap; i++) inside = dilated(inside, width)
  return inside.map((value, at) => value | ink[at])
}

/** Every pixel with a marked one above, below, beside or at it. */
function dilated(ink: Uint8Array, width: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(ink, (value, at) => {
    const x = at % width
    const beside = (x > 0 && ink[at - 1]) || (x < width - 1 && ink[at + 1])
    return value || beside || ink[at - width] || ink[at + width] ? 1 : 0
  })
}

/** Every pixel whose neighbours are all marked. */
const eroded = (ink: Uint8Array, width: number): Uint8Array =>
  dilated(ink.map((value) => 1 - value), width).map((value) => 1 - value)

const sum = (values: Float32Array | Uint8Array): number => {
  let total = 0
  for (const value of values) total += value
  return total
}

const median = (values: number[]): number =>
  values.length ? values.toSorted((a, b) => a - b)[values.length >> 1] : 0

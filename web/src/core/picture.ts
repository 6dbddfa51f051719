import { borderTone, graded, type Look, type Raster } from './look'

export { type Raster }

/**
 * From any picture to what the encoder was trained on, as data/preparation.py does it. Every step is
 * shown and can be switched off, because a picture prepared in the wrong way is the usual reason for
 * a wrong reconstruction.
 */

export const USUAL: Look = { bright: false, solid: false, level: 1, background: 'dark' }

/** Steps that can be switched off. */
export interface Steps {
  greyscale: boolean
  /** Null leaves it to the border: a bright one means dark ink on paper. */
  invert: boolean | null
  crop: boolean
  /** Whether a drawing's outlines are filled and its marks graded as in the set; null for what is no drawing. */
  grade?: boolean | null
}

export interface Stage {
  name: 'picture' | 'greyscale' | 'inverted' | 'graded' | 'cropped' | 'resized'
  /** Whether this step did anything. */
  applied: boolean
  raster: Raster
}

const LUMA = [0.299, 0.587, 0.114]
/** Brighter ink than this is laid on black. */
const WHITE_INK = 230

/**
 * What canvas gives, RGBA in bytes, laid over a backdrop: (3, H, W). The brightness of the backdrop is
 * from 0 to 255; null: white, or black behind ink that is nearly white.
 */
export function fromRGBA(
  bytes: ArrayLike<number>,
  width: number,
  height: number,
  backdrop: number | null = null,
): Raster {
  const area = width * height
  const data = new Float32Array(3 * area)
  const tone = (backdrop ?? (inkTone(bytes, area) > WHITE_INK ? 0 : 255)) / 255
  for (let i = 0; i < area; i++) {
    const alpha = bytes[4 * i + 3] / 255
    for (let c = 0; c < 3; c++) data[c * area + i] = (bytes[4 * i + c] / 255) * alpha + tone * (1 - alpha)
  }
  return { channels: 3, height, width, data }
}

/** The mean brightness of what is not transparent, 0 to 255. */
function inkTone(bytes: ArrayLike<number>, area: number): number {
  let [ink, weight] = [0, 0]
  for (let i = 0; i < area; i++) {
    const alpha = bytes[4 * i + 3]
    for (let c = 0; c < 3; c++) ink += LUMA[c] * bytes[4 * i + c] * alpha
    weight += alpha
  }
  return ink / Math.max(1, weight)
}

/** One channel: luma as in ITU-R BT.601, which Pillow's "L" uses too. */
export function greyscale({ channels, height, width, data }: Raster): Raster {
  const area = height * width
  const weights = channels === 3 ? LUMA : Array(channels).fill(1 / channels)
  const grey = new Float32Array(area)
  for (let i = 0; i < data.length; i++) grey[i % area] += weights[Math.floor(i / area)] * data[i]
  return { channels: 1, height, width, data: grey }
}

export const inverted = (raster: Raster): Raster => ({
  ...raster,
  data: raster.data.map((v) => 1 - v),
})

/** Ink is what is brighter than this share of the brightest value. */
const INK = 0.12

/** The smallest window that holds all ink, widened to the given shape with black around it. */
export function cropped(raster: Raster, aspect = 1): Raster {
  const { channels, height, width, data } = raster
  const bound = INK * data.reduce((a, b) => Math.max(a, b), 0)
  let [left, right, top, bottom] = [width, -1, height, -1]
  for (let i = 0; i < data.length; i++) {
    if (!(data[i] > bound)) continue
    const [x, y] = [i % width, Math.floor(i / width) % height]
    ;[left, right] = [Math.min(left, x), Math.max(right, x)]
    ;[top, bottom] = [Math.min(top, y), Math.max(bottom, y)]
  }
  if (right < 0) return raster
  const [w, h] = [right - left + 1, bottom - top + 1]
  return framed({ channels, height: h, width: w, data: cut(raster, left, top, w, h) }, aspect)
}

function cut(
  { channels, height, width, data }: Raster,
  x: number,
  y: number,
  w: number,
  h: number,
): Float32Array {
  const piece = new Float32Array(channels * w * h)
  for (let c = 0; c < channels; c++)
    for (let line = 0; line < h; line++) {
      const from = (c * height + y + line) * width + x
      piece.set(data.subarray(from, from + w), (c * h + line) * w)
    }
  return piece
}

/** The picture in the middle of a black one of the given width over height. */
export function framed({ channels, height, width, data }: Raster, aspect: number): Raster {
  const w = Math.max(width, Math.round(height * aspect))
  const h = Math.max(height, Math.round(width / aspect))
  const frame = new Float32Array(channels * w * h)
  const [left, top] = [Math.floor((w - width) / 2), Math.floor((h - height) / 2)]
  for (let c = 0; c < channels; c++)
    for (let line = 0; line < height; line++) {
      const from = (c * height + line) * width
      frame.set(data.subarray(from, from + width), (c * h + top + line) * w + left)
    }
  return { channels, height: h, width: w, data: frame }
}

/** Fitted into a size, its aspect kept; what a side lacks has the tone of the picture's own border. */
export function fitted(raster: Raster, height: number, width: number): Raster {
  const { channels } = raster
  const scale = Math.min(width / raster.width, height / raster.height)
  const [w, h] = [raster.width, raster.height].map((side) => Math.max(1, toEven(side * scale)))
  const small = resized(raster, h, w)
  const [left, top] = [(width - w) >> 1, (height - h) >> 1]
  const data = new Float32Array(channels * height * width)
  for (let c = 0; c < channels; c++) {
    const channel = { channels: 1, height: h, width: w, data: small.data.subarray(c * h * w, (c + 1) * h * w) }
    data.fill(borderTone(channel), c * height * width, (c + 1) * height * width)
    for (let line = 0; line < h; line++)
      data.set(channel.data.subarray(line * w, (line + 1) * w), (c * height + top + line) * width + left)
  }
  return { channels, height, width, data }
}

/** The nearest integer, halves to the even one, as Python rounds. */
function toEven(value: number): number {
  const nearest = Math.round(value)
  return nearest - value === 0.5 && nearest % 2 ? nearest - 1 : nearest
}

/** Another size by Pillow's BILINEAR filter: a triangle, as wide as the shrinking asks for. */
export function resized(raster: Raster, height: number, width: number): Raster {
  const wide = alongLines(raster.data, raster.width, width)
  const columns = transposed(wide, raster.channels, raster.height, width)
  const tall = alongLines(columns, raster.height, height)
  return {
    channels: raster.channels,
    height,
    width,
    data: transposed(tall, raster.channels, width, height),
  }
}

/** Every line of `from` values as `to` weighted means. */
function alongLines(data: Float32Array, from: number, to: number): Float32Array {
  if (from === to) return data
  const lines = data.length / from
  const out = new Float32Array(lines * to)
  const step = from / to
  const reach = Math.max(1, step)
  for (let i = 0; i < to; i++) {
    const middle = (i + 0.5) * step
    const first = Math.max(0, Math.floor(middle - reach + 0.5))
    const weights: number[] = []
    for (let j = first; j < Math.min(from, Math.floor(middle + reach + 0.5)); j++)
      weights.push(Math.max(0, 1 - Math.abs(j + 0.5 - middle) / reach))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    for (let line = 0; line < lines; line++) {
      let sum = 0
      for (let k = 0; k < weights.length; k++) sum += weights[k] * data[line * from + first + k]
      out[line * to + i] = sum / total
    }
  }
  return out
}

function transposed(
  data: Float32Array,
  channels: number,
  height: number,
  width: number,
): Float32Array {
  const out = new Float32Array(data.length)
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        out[(c * width + x) * height + y] = data[(c * height + y) * width + x]
  return out
}

/** The steps one after the other, each with its result; the last one is what the encoder gets. */
export function prepare(picture: Raster, [C, H, W]: readonly number[], steps: Steps, look: Look = USUAL): Stage[] {
  const stages: Stage[] = [{ name: 'picture', applied: true, raster: picture }]
  const then = (name: Stage['name'], applied: boolean, step: (raster: Raster) => Raster): void => {
    const { raster } = stages[stages.length - 1]
    stages.push({ name, applied, raster: applied ? step(raster) : raster })
  }
  if (C === 1) then('greyscale', steps.greyscale, greyscale)
  const channel = C === 1 && !steps.greyscale
  if (channel) stages[stages.length - 1].raster = first(picture)
  const now = stages[stages.length - 1].raster
  const turned = steps.invert ?? (C === 1 && otherBackground(fitted(now, H, W), look))
  stages.push({ name: 'inverted', applied: turned, raster: turned ? inverted(now) : now })
  // from here on light marks on black: those of a set of dark ones are turned for the steps alone
  const lit = (step: (raster: Raster) => Raster) => (raster: Raster) =>
    look.bright ? inverted(step(inverted(raster))) : step(raster)
  if (C === 1 && steps.grade != null) then('graded', steps.grade, lit((raster) => graded(raster, look)))
  then('cropped', steps.crop, lit((raster) => cropped(raster, W / H)))
  then('resized', true, (raster) => fitted(raster, H, W))
  return stages
}

/** Whether the picture's border is on the other side of mid-grey than the set's; a set without one background has none. */
const otherBackground = (picture: Raster, { background }: Look): boolean =>
  background !== null && borderTone(picture) > 0.5 === (background === 'dark')

/** The first channel alone: what is left of a colour picture when greyscale is switched off. */
const first = ({ height, width, data }: Raster): Raster => ({
  channels: 1,
  height,
  width,
  data: data.slice(0, height * width),
})

/**
 * Where a value stands among 101 percentiles, from 0 to 100, straight between them; of equal ones the
 * highest. 100 says: at least as large as everything seen in the test set.
 */
export function percentile(percentiles: ArrayLike<number>, value: number): number {
  const last = percentiles.length - 1
  if (!(value >= percentiles[0])) return 0
  let below = 0
  while (below < last && percentiles[below + 1] <= value) below++
  if (below === last) return 100
  const [low, high] = [percentiles[below], percentiles[below + 1]]
  return ((below + (value - low) / (high - low)) * 100) / last
}

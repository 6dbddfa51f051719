/** A word to the person where the model has learned nothing. */

import { doubt } from '../core/doubt'
import { mean } from '../core/rows'
import type { Explorer } from './explorer.svelte'

const LOOKED_AT = 300

/** Looks at the codes, and at the errors of some images that the page carries. */
export function sayDoubts(explorer: Explorer): void {
  const { points, networks, backend, notice } = explorer
  if (notice || backend.train || points.codebook || points.count < 2) return
  const { latents, logVars, D, errors } = points
  const { originals } = networks
  const stride = originals ? Math.max(1, Math.floor(originals.count / LOOKED_AT)) : 1
  const some = originals ? Array.from({ length: Math.floor(originals.count / stride) }, (_, n) => originals.first + n * stride) : []
  const images = some.map((index) => originals!.pixels(index)!)
  const middle = images.length > 1 ? average(images) : null
  const text = doubt({
    latents,
    logVars,
    D,
    error: errors && some.length ? some.reduce((sum, index) => sum + errors[index], 0) / some.length : null,
    variance: middle && images.reduce((sum, image) => sum + distance(image, middle), 0) / images.length,
  })
  if (text) explorer.notice = { tone: 'warning', text }
}

function average(images: Float32Array[]): Float32Array {
  const all = new Float32Array(images.length * images[0].length)
  images.forEach((image, n) => all.set(image, n * image.length))
  return mean(all, images[0].length)
}

/** Mean squared difference per pixel. */
const distance = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length

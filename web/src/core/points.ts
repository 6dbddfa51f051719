/** The encoded images: codes, spreads, labels. */

import { Codebook, type Indices } from './codes'
import type { Manifest } from './manifest'
import type { Masses } from './mass'
import { nearestRows, PlaneIndex, type Neighbour } from './neighbours'
import type { DataSource } from './source'
import { code, whole } from './words'

export class Points {
  /** Nearest images in a two-dimensional latent space. */
  tree: PlaneIndex | null
  readonly count: number
  readonly D: number

  constructor(
    readonly manifest: Manifest,
    /** Posterior means, one row of D numbers per image. */
    public latents: Float32Array,
    /** log σ² per latent dimension, or null. */
    public logVars: Float32Array | null,
    /** Class of each image, or null for images without labels. */
    readonly labels: Uint8Array | Uint16Array | null,
    /** Mean squared reconstruction error of each image, or null. */
    public errors: Float32Array | null,
    /** Of a discrete model: what codes stand for, and the code of each image. */
    readonly codebook: Codebook | null = null,
    readonly codes: Indices | null = null,
    /** Of some images of a larger set: their places in it, and what they are called. */
    readonly rows: ArrayLike<number> | null = null,
    readonly ids: readonly string[] | null = null,
  ) {
    this.D = manifest.model.latent
    this.count = latents.length / this.D
    this.tree = this.D === 2 ? new PlaneIndex(latents) : null
  }

  /** Takes new codes of all images, as a training goes on. */
  move(latents: Float32Array, logVars: Float32Array | null): void {
    this.latents = latents
    this.logVars = logVars
    this.tree = this.D === 2 ? new PlaneIndex(latents) : null
  }

  z(index: number): Float32Array {
    return this.latents.slice(index * this.D, (index + 1) * this.D)
  }

  /** The code of one image of a discrete model, or null. */
  codeOf(index: number): Indices | null {
    const positions = this.codebook?.positions ?? 0
    return this.codes?.slice(index * positions, (index + 1) * positions) ?? null
  }

  /** "z 0.31, −1.20", or "code 17 · 4 · 0": a latent code in words. */
  say(z: Float32Array): string {
    if (!this.codebook) return `z ${code(z)}`
    const codes = Array.from(this.codebook.nearest(z).subarray(0, 8))
    return `code ${codes.join(' · ')}${this.codebook.positions > 8 ? ' …' : ''}`
  }

  /** KL and −log p(x | z) of some images, in nats, one after the other. */
  bounds: Float32Array | null = null

  /** The terms of an image's negative ELBO, in nats; null where the page does not have them. */
  terms(index: number): { kl: number; reconstruction: number } | null {
    const { first, count } = this.manifest.terms ?? { first: 0, count: 0 }
    const at = index - first
    if (!this.bounds || at < 0 || at >= count) return null
    return { kl: this.bounds[2 * at], reconstruction: this.bounds[2 * at + 1] }
  }

  /** Posteriors of any shape, where they travel with the page. */
  masses: Masses | null = null

  /** Posterior standard deviations of one image, or null. */
  sigma(index: number): Float32Array | null {
    const row = this.logVars?.subarray(index * this.D, (index + 1) * this.D)
    return row ? row.map((value) => Math.exp(value / 2)) : null
  }

  /** Name of the image's class, or an empty string. */
  className(index: number): string {
    return this.labels ? this.manifest.data.classes[this.labels[index]] : ''
  }

  /** The images of the whole set. */
  get total(): number {
    return this.manifest.pyramid?.count ?? this.count
  }

  /** Those of each class. */
  get totals(): number[] {
    const { data, pyramid } = this.manifest
    if (pyramid) return pyramid.classes
    const found = new Array<number>(data.classes.length).fill(0)
    this.labels?.forEach((label: number) => found[label]++)
    return found
  }

  /** The place of an image in the whole set. */
  row = (index: number): number => this.rows?.[index] ?? index

  /** "test image 12": which image of which split; its id, where it has one. */
  name(index: number): string {
    const { train, split = 'test' } = this.manifest.data
    if (this.rows) return this.ids?.[index] ?? `image ${whole(this.row(index))}`
    return index < train ? `training image ${index}` : `${split} image ${index - train}`
  }

  /** "Bag, test image 12", or without classes "test image 12". */
  title(index: number): string {
    return [this.className(index), this.name(index)].filter(Boolean).join(', ')
  }

  /** The images a person means by "12", "test 12" or "training image 12". */
  numbered(text: string): number[] {
    if (this.rows) return []
    const { train, test } = this.manifest.data
    const [, split, digits] = /^(test|train\w*)?\s*(?:image)?\s*#?(\d+)$/i.exec(text.trim()) ?? []
    if (!digits) return []
    const number = Number(digits)
    const found = []
    if (split?.toLowerCase() !== 'test' && number < train) found.push(number)
    if (!split?.toLowerCase().startsWith('train') && number < test) found.unshift(train + number)
    return found
  }

  /** The images whose codes lie nearest to `z`, nearest first. */
  nearest(z: Float32Array, count: number, keep?: (index: number) => boolean): Neighbour[] {
    if (this.tree) return this.tree.nearest(z[0], z[1], count, keep)
    return nearestRows(this.latents, this.D, z, count, keep)
  }
}

/** The points with what must be there at once; spreads and errors follow by `addDetails`. */
export async function loadPoints(source: DataSource): Promise<Points> {
  const labels = source.has('labels') ? ((await source.integers('labels')) as Uint8Array) : null
  const { codes: about } = source.manifest.model
  if (!about) {
    const rows = source.has('rows') ? await source.integers('rows') : null
    const ids = rows && (JSON.parse(new TextDecoder().decode(await source.bytes('ids'))) as string[])
    return new Points(source.manifest, await source.floats('latents'), null, labels, null, null, null, rows, ids)
  }
  const codebook = new Codebook(await source.floats('codebook'), about)
  const codes = (await source.integers('codes')) as Indices
  return new Points(source.manifest, codebook.lookup(codes), null, labels, null, codebook, codes)
}

export async function addDetails(points: Points, source: DataSource): Promise<void> {
  points.logVars = source.has('logvars') ? await source.floats('logvars') : null
  points.errors = source.has('errors') ? await source.floats('errors') : null
  points.bounds = source.has('terms') ? await source.floats('terms') : null
  const { masses } = source.manifest
  if (masses && source.has('mass_values'))
    points.masses = {
      ...masses,
      windows: await source.floats('mass_windows'),
      values: (await source.integers('mass_values')) as Uint8Array,
    }
}

export interface Medoid {
  label: number
  index: number
  at: [number, number]
}

/** The point nearest to each class's mean on the plane, the largest classes first: of all, or of a part. */
export function medoids(positions: Float32Array, points: Points, first = 0, end = points.count): Medoid[] {
  const { labels } = points
  if (!labels) return []
  const sums = points.manifest.data.classes.map(() => ({ u: 0, v: 0, count: 0 }))
  for (let n = first; n < end; n++) {
    const sum = sums[labels[n]]
    sum.u += positions[2 * n]
    sum.v += positions[2 * n + 1]
    sum.count++
  }
  const best = sums.map(() => ({ index: -1, squared: Infinity }))
  for (let n = first; n < end; n++) {
    const { u, v, count } = sums[labels[n]]
    const squared = (positions[2 * n] - u / count) ** 2 + (positions[2 * n + 1] - v / count) ** 2
    if (squared < best[labels[n]].squared) best[labels[n]] = { index: n, squared }
  }
  return best
    .map(({ index }, label) => ({ label, index, at: [positions[2 * index], positions[2 * index + 1]] as [number, number] }))
    .filter(({ index }) => index >= 0)
    .sort((a, b) => sums[b.label].count - sums[a.label].count)
}

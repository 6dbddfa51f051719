/** The code of a discrete model, position by position, and what each change of it would show. */

import { byUse, holders, usage, type Codebook, type Indices } from '../core/codes'
import { mean, stack, unstack } from '../core/rows'
import type { Explorer } from './explorer.svelte'
import type { Pin } from './pins.svelte'
import { oneOf } from './lasting.svelte'

/** One code that the chosen position could have. */
export interface Choice {
  code: number
  /** Images of the set that have it there. */
  count: number
  /** The image with it there; null until it has been decoded. */
  image: Float32Array | null
}

/** Codes of the palette, unless more are asked for. */
const FEW = 48
/** Beginnings that are followed to find which vectors a sum is of. */
const BEAM = 16

export class Codes {
  codes = $state.raw<Indices>() as Indices
  /** What it was before anything was changed, and whose it is. */
  original = $state.raw<Indices>() as Indices
  name = $state('')
  /** The position that is looked at. */
  at = $state(0)
  all = $state(false)
  image = $state.raw<Float32Array | null>(null)
  palette = $state.raw<Choice[]>([])
  private run = 0
  readonly book: Codebook

  constructor(private readonly explorer: Explorer) {
    const { points } = explorer
    this.book = points.codebook!
    this.start(this.book.nearest(mean(points.latents, points.D)), 'the middle of the data')
  }

  readonly z: Float32Array = $derived.by(() => this.book.lookup(this.codes))

  readonly changed: number = $derived.by(
    () => this.codes.filter((code, at) => code !== this.original[at]).length,
  )

  /** How often each code occurs at the chosen position. */
  readonly counts: Uint32Array = $derived.by(() =>
    usage(this.explorer.points.codes!, this.book.positions, this.at, this.book.size),
  )

  /** Codes in use at the chosen position. */
  readonly used: number = $derived.by(() => this.counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0))

  /** The codes offered there, the most frequent first. */
  readonly offered: number[] = $derived.by(() => {
    const order = byUse(this.counts)
    return this.all ? order : order.slice(0, Math.max(1, Math.min(FEW, this.used)))
  })

  /** Images of the set with this code at the chosen position. */
  readonly alike: number[] = $derived.by(() =>
    holders(this.explorer.points.codes!, this.book.positions, this.at, this.codes[this.at]).filter(
      this.explorer.classes.isShown,
    ),
  )

  start(codes: Indices, name: string): void {
    this.codes = this.original = codes
    this.name = name
  }

  /** Shows the code of a pin. */
  follow({ z, codes, label }: Pin): void {
    this.start(codes ?? this.book.nearest(z, BEAM), label)
  }

  reset(): void {
    this.codes = this.original
  }

  /** Puts another code at the chosen position. */
  put(code: number): void {
    this.codes = this.codes.slice().fill(code, this.at, this.at + 1)
    this.explorer.announce(`Position ${this.at + 1}: code ${code}, in ${this.counts[code]} images.`)
  }

  /** The next code by use, or the one before. */
  step(by: number): void {
    const now = this.offered.indexOf(this.codes[this.at])
    this.put(this.offered[(now + by + this.offered.length) % this.offered.length])
  }

  move(by: number): void {
    const { positions } = this.book
    this.at = (this.at + by + positions) % positions
    this.explorer.announce(`Position ${this.at + 1} of ${positions}: code ${this.codes[this.at]}.`)
  }

  pin(): void {
    const label = `${this.name}, ${this.changed} ${this.changed === 1 ? 'code' : 'codes'} changed`
    const { z, codes } = this
    void this.explorer.pins.add({ z, codes, label, original: null, sigma: null })
  }

  // -- seeing -----------------------------------------------------------------------------------

  async look(): Promise<void> {
    const { explorer, z } = this
    if (explorer.networks.state !== 'ready') return
    const image = await explorer.networks.decode(z)
    if (z === this.z) this.image = image
  }

  /** What each code offered would show; a newer call overtakes an older one. */
  async show(): Promise<void> {
    const run = ++this.run
    const { explorer, codes, at, offered, counts, book } = this
    const choices = offered.map((code): Choice => ({ code, count: counts[code], image: null }))
    if (choices.some(({ code }, i) => code !== this.palette[i]?.code)) this.palette = choices
    if (explorer.networks.state !== 'ready') return
    const each = offered.map((code) => book.lookup(codes.slice().fill(code, at, at + 1)))
    const images = await explorer.networks.decode(stack(each))
    if (run !== this.run) return
    const found = unstack(images, images.length / offered.length)
    this.palette = choices.map((choice, i) => ({ ...choice, image: found[i] }))
  }
}

/** The explorer's one code grid: it outlives the panel that shows it. */
export const codesOf = oneOf((explorer) => new Codes(explorer))

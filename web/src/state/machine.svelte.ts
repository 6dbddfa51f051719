/** One image on its way through the model: encoder, q(z | x), z, decoder. */

import { crossEntropy, gaussianKl } from '../core/bound'
import { mse } from '../core/difference'
import { standardNormal } from '../core/random'
import type { Explorer } from './explorer.svelte'
import { oneOf } from './lasting.svelte'
import type { Pin } from './pins.svelte'

/** The image that goes in, and where the model places it. */
export interface Subject {
  /** Which image of the set, or null for somebody's own picture. */
  index: number | null
  label: string
  mean: Float32Array
  sigma: Float32Array | null
}

export class Machine {
  /** The image nearest to the pointer, or to a pinned place, last; of those that can be shown. */
  private near = $state<number | null>(null)
  /** Standard normal noise for one image: z = μ + σ ε. null: z is μ. */
  private noise = $state.raw<{ of: string; values: Float32Array } | null>(null)
  /** The image that goes in, and what is decoded from z; null until they have come. */
  input = $state.raw<Float32Array | null>(null)
  private made = $state.raw<Float32Array | null>(null)

  constructor(private readonly explorer: Explorer) {}

  /** Whether the page can compute the likelihood from the decoded image. */
  private get crossEntropy(): boolean {
    return String(this.explorer.manifest.model.parts.likelihood).startsWith('cross-entropy')
  }

  /** The pin, if there is an image of it to show. */
  private readonly pinned: Pin | null = $derived.by(() => {
    const { pins, carried } = this.explorer
    const { pin } = pins
    return pin && (pin.original || (pin.index !== null && (carried?.(pin.index) ?? true))) ? pin : null
  })

  /** The pinned image, or else the one nearest to the pointer or to what is pinned. */
  readonly subject: Subject = $derived.by(() => {
    const { points, networks } = this.explorer
    if (this.pinned) return { ...this.pinned, mean: this.pinned.z }
    const index = this.near ?? networks.originals?.first ?? 0
    return { index, label: points.title(index), mean: points.z(index), sigma: points.sigma(index) }
  })

  /** Whether z is chosen by the pointer, not by the posterior. */
  get pointed(): boolean {
    return this.explorer.probe.at !== null
  }

  get drawn(): boolean {
    return this.noise?.of === this.subject.label
  }

  readonly z: Float32Array = $derived.by(() => {
    const { at } = this.explorer.probe
    const { mean, sigma } = this.subject
    if (at) return at.z
    const { values } = this.noise ?? {}
    return this.drawn && values && sigma ? mean.map((value, d) => value + sigma[d] * values[d]) : mean
  })

  get output(): Float32Array | null {
    return this.pointed ? this.explorer.probe.image : this.made
  }

  /** The mean squared error of what came out, per pixel. */
  readonly error: number | null = $derived(this.input && this.output ? mse(this.input, this.output) : null)

  /**
   * −log p(x | z) in nats at this very z, of one's own picture: the page has images of the set compressed, which is seen in
   * nats.
   */
  readonly missed: number | null = $derived.by(() => {
    const { input, output, subject } = this
    return this.crossEntropy && subject.index === null && input && output ? crossEntropy(input, output) : null
  })

  /** KL and reconstruction of the image in nats: Python's for images of the set. */
  readonly bound: { kl: number; reconstruction: number } | null = $derived.by(() => {
    const { points, manifest, pins, outdated, planes } = this.explorer
    const { index, mean, sigma } = this.subject
    if (outdated || planes.snapshot) return null
    if (index !== null) return points.terms(index)
    const { original, reconstruction } = pins.pin ?? {}
    if (!sigma || !manifest.model.prior?.standard_normal || !this.crossEntropy || !original || !reconstruction) return null
    return { kl: gaussianKl(mean, sigma), reconstruction: crossEntropy(original, reconstruction) }
  })

  /** Draws z from the posterior. */
  draw(): void {
    this.noise = { of: this.subject.label, values: standardNormal(1, this.explorer.points.D) }
  }

  /** Takes the image nearest to the pointer, or else to a pin without an image, of those that can be shown. */
  look(): void {
    const { probe, points, pins, carried } = this.explorer
    const z = (probe.at ?? pins.pin)?.z
    if (!z || this.pinned) return
    const [near] = points.nearest(z, 1, carried)
    if (near) this.near = near.index
  }

  /** Fetches the image that goes in. */
  async load(): Promise<void> {
    const { index } = this.subject
    const { networks, pins } = this.explorer
    const found = index === null ? (pins.pin?.original ?? null) : await networks.original(index)
    if (index === this.subject.index) this.input = found
  }

  /** Decodes z where the pointer does not. */
  async decode(): Promise<void> {
    const { z, pointed, explorer } = this
    if (pointed || explorer.networks.state !== 'ready') return
    const image = await explorer.networks.decode(z)
    if (z === this.z) this.made = image
  }
}

/** The explorer's one machine: it outlives the panel that shows it. */
export const machineOf = oneOf((explorer) => new Machine(explorer))

/** A code moved along axes: the latent dimensions, the directions of the data nearby, or ways to regions. */

import { activeAxes, classCorrelations, localDirections } from '../core/local'
import { active as activity, variances } from '../core/moments'
import { along, dot, mean, row, stack, subtract, unstack } from '../core/rows'
import type { Explorer } from './explorer.svelte'
import { regionsOf } from './regions.svelte'

export type Tab = 'dimensions' | 'local' | 'regions'

export interface Axis {
  name: string
  /** What the axis carries, in words. */
  hint: string
  vector: Float32Array
  /** Range of the amount along the vector, and the code's own coordinate at amount 0. */
  lo: number
  hi: number
  zero: number
  /** Classes that go with it, the strongest first, and how strongly: correlations. */
  classes: { label: number; correlation: number }[]
  active: boolean
}

/** Pictures along a track. */
export const TRACK = 9
const DIRECTIONS = 8
/** Standard deviations that a slider reaches to either side of the middle of the data. */
const REACH = 3
/** A direction in which codes differ by less than this share of the widest is none. */
const FLAT = 1e-3

export class Sliders {
  tab = $state<Tab>('dimensions')
  /** Where the axes of this tab start from, and how far the code has moved along each. */
  base = $state.raw<Float32Array>(new Float32Array())
  amounts = $state<number[]>([])
  image = $state.raw<Float32Array | null>(null)
  tracks = $state.raw<Float32Array[][]>([])
  private run = 0
  private readonly middle: Float32Array
  private readonly deviations: Float32Array
  private readonly correlations: Float32Array | null

  constructor(private readonly explorer: Explorer) {
    const { latents, D, labels } = explorer.points
    this.middle = mean(latents, D)
    this.deviations = variances(latents, D, this.middle).map(Math.sqrt)
    const count = explorer.manifest.data.classes.length
    this.correlations = labels && count > 1 ? classCorrelations(latents, D, labels, count) : null
    this.base = explorer.pins.pin?.z ?? explorer.probe.at?.z ?? this.middle
    this.amounts = this.axes.map(() => 0)
  }

  readonly axes: Axis[] = $derived.by(() => this.axesOf(this.tab, this.base))

  /** The code the sliders stand for. */
  readonly z: Float32Array = $derived.by(() =>
    this.axes.reduce((z, { vector }, i) => along(z, vector, this.amounts[i] ?? 0), this.base),
  )

  private axesOf(tab: Tab, base: Float32Array): Axis[] {
    if (tab === 'dimensions') return this.dimensions(base)
    return tab === 'local' ? this.directions(base) : this.ways()
  }

  private dimensions(base: Float32Array): Axis[] {
    const { manifest, points } = this.explorer
    const told = manifest.model.kl_per_dimension ?? Array.from(this.deviations)
    const moves = activity(points.latents, points.logVars, points.D)
    const kl = told.map((value, d) => (moves[d] ? value : 0))
    const { active, inactive } = activeAxes(kl)
    const unit = manifest.model.kl_per_dimension ? 'nats' : 'σ'
    return [...active, ...inactive].map((d) => {
      const reach = Math.max(REACH * this.deviations[d], 1e-3)
      const vector = new Float32Array(points.D)
      vector[d] = 1
      const [lo, hi] = [this.middle[d] - reach - base[d], this.middle[d] + reach - base[d]]
      return {
        name: `z${d + 1}`,
        hint: `${told[d].toPrecision(2)} ${unit}`,
        vector,
        lo: Math.min(lo, 0),
        hi: Math.max(hi, 0),
        zero: base[d],
        classes: this.classesOf(d),
        active: active.includes(d),
      }
    })
  }

  private classesOf(d: number): { label: number; correlation: number }[] {
    const count = this.explorer.manifest.data.classes.length
    if (!this.correlations) return []
    return Array.from(row(this.correlations, count, d), (correlation, label) => ({
      label,
      correlation,
    }))
      .sort((a, b) => Math.abs(b.correlation) - Math.abs(a.correlation))
      .slice(0, 3)
  }

  private directions(base: Float32Array): Axis[] {
    const { latents, D } = this.explorer.points
    const { axes, deviations } = localDirections(latents, D, base)
    return unstack(axes, D)
      .slice(0, DIRECTIONS)
      .filter((_, i) => deviations[i] > FLAT * this.deviations.reduce((a, b) => Math.max(a, b), 1e-3))
      .map((vector, i) => ({
        name: `direction ${i + 1}`,
        hint: `± ${deviations[i].toPrecision(2)} nearby`,
        vector,
        lo: -2 * REACH * deviations[i],
        hi: 2 * REACH * deviations[i],
        zero: 0,
        classes: [],
        active: true,
      }))
  }

  private ways(): Axis[] {
    const regions = regionsOf(this.explorer)
    return regions.named.flatMap((region) => {
      const found = regions.statisticsOf(region)
      if (!found) return []
      const vector = subtract(found.centroid, this.middle)
      return {
        name: `towards ${region.name}`,
        hint: '',
        vector,
        lo: -1,
        hi: 1.5,
        zero: 0,
        classes: [],
        active: true,
      }
    })
  }

  // -- moving -----------------------------------------------------------------------------------

  /** Other axes, from where the code is now. */
  choose(tab: Tab): void {
    this.startFrom(this.z, tab)
  }

  /** The code itself, along the axes of a tab. */
  startFrom(z: Float32Array, tab = this.tab): void {
    this.tab = tab
    this.base = z
    this.amounts = this.axes.map(() => 0)
  }

  /** One slider back to where the pin is along its axis, or to the start. */
  reset(at: number): void {
    const { vector } = this.axes[at]
    const pin = this.explorer.pins.pin?.z
    this.amounts[at] = pin ? dot(subtract(pin, this.base), vector) / dot(vector, vector) : 0
  }

  // -- seeing -----------------------------------------------------------------------------------

  async look(): Promise<void> {
    const { explorer, z } = this
    if (explorer.networks.state === 'ready') this.image = await explorer.networks.decode(z)
  }

  /** What every slider would show along its track; a newer call overtakes an older one. */
  async show(shown: readonly number[]): Promise<void> {
    const run = ++this.run
    const { explorer, z, axes, amounts } = this
    if (explorer.networks.state !== 'ready') return
    const rows = shown.flatMap((at) => {
      const { vector, lo, hi } = axes[at]
      return Array.from({ length: TRACK }, (_, i) =>
        along(z, vector, lo + ((i + 0.5) / TRACK) * (hi - lo) - amounts[at]),
      )
    })
    if (!rows.length) return
    const images = await explorer.networks.decode(stack(rows))
    if (run !== this.run) return
    const each = unstack(images, images.length / rows.length)
    const tracks: Float32Array[][] = []
    shown.forEach((at, i) => (tracks[at] = each.slice(i * TRACK, (i + 1) * TRACK)))
    this.tracks = tracks
  }
}

const all = new WeakMap<Explorer, Sliders>()

export function slidersOf(explorer: Explorer): Sliders {
  const known = all.get(explorer) ?? new Sliders(explorer)
  all.set(explorer, known)
  return known
}

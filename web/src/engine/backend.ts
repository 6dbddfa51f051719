/** What stands behind the page: the only way to anything that the page does not work out itself. */

import type { DataSource } from '../core/source'
import type { Encoded, Engine, Floats, Told } from './engine'
import type { Play } from './play'

/** Another checkpoint of a training: numbers as the server packs them. */
export interface Checkpoint {
  step: number
  numbers: Float32Array
}

/** A line of the training's log, or the step of a new checkpoint. */
export interface Row {
  step: number
  epoch: number | null
  metrics: Record<string, number | number[]> | null
}

export interface Listener {
  logged: (row: Row) => void
  saved: (step: number) => void
  ended: () => void
  lost: () => void
}

/** A training that can be followed. */
export interface Train {
  listen(listener: Listener): void
  /** The newest checkpoint; null where there is no answer. */
  newest(): Promise<Checkpoint | null>
}

export interface Backend {
  readonly source: DataSource
  /** Whether the page is all there is, so that a copy of it is whole and nothing leaves it. */
  readonly sealed: boolean
  /** Whether pictures can be encoded. */
  readonly encodes: boolean
  /** Whether it has every image of the set. */
  readonly pictured: boolean
  readonly train: Train | null
  /** A training that can be changed while it is watched. */
  readonly play: Play | null
  /** Opens the networks, and compares them with the run's; EngineError where they cannot be used. */
  start(): Promise<Engine>
  /** The images at the codes, one after the other: C × H × W numbers in [0, 1] each. */
  decode(z: Float32Array, told?: Told): Promise<Floats>
  /** Where images (C × H × W numbers in [0, 1] each) lie. */
  encode(x: Float32Array, told?: Told): Promise<Encoded>
  /** An image of the set that the page does not carry; null where nobody has it. */
  original(index: number): Promise<Float32Array | null>
  /** The geodesic from a to b as so many points; null where it must be found in the page. */
  geodesic(a: Float32Array, b: Float32Array, steps: number, weight: number): Promise<Float32Array | null>
  /** The regions that were kept, unchecked. */
  regions(): Promise<unknown>
  /** Keeps regions; false where that failed. */
  keep(regions: readonly unknown[]): Promise<boolean>
}

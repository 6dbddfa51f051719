/** What stands behind the page: the only way to anything that the page does not work out itself. */

import type { DataSource } from '../core/source'
import type { Encoded, Engine, Floats, Told } from './engine'
import type { Play } from './frames'

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

/** Some images of a set that only the server has; numbers of one image after those of another. */
export interface SomeImages {
  /** Places in the set. */
  rows: number[]
  labels: number[]
  z: number[]
  ids?: string[]
  log_var?: number[] | null
}

/** A set that only the server has. Requests about regions are JSON: strokes, and the classes or null. */
export interface All {
  tile(depth: number, i: number, j: number): Promise<ArrayBuffer | null>
  /** How many of all images there are, of each class, and some of them. */
  region(request: string): Promise<(SomeImages & { count: number; classes: number[] }) | null>
  table(request: string): Promise<Blob | null>
  image(which: { id: string } | { row: number }): Promise<SomeImages | null>
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
  /** A set too large for a page; null where the page has all images. */
  readonly all: All | null
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

/** The page's manifest: what Python says about the run and the blobs that come with it. */

import type { CodesAbout } from './codes'
import type { PyramidEntry } from './pyramid'

export const SCHEMA = 1

export type Range = [number, number]
export type Dtype = 'u8' | 'u16' | 'u32' | 'f16' | 'f32' | 'file'

export interface BlobEntry {
  codec: 'gzip' | 'raw'
  dtype: Dtype
  shape: number[]
  /** Bytes of a number, where the first of all numbers come before the second; else 1. */
  planes?: number
  /** Per dimension [lo, hi] of quantised numbers. */
  scale: Range[] | null
  /** Length once gunzipped, in bytes. */
  bytes: number
  /** CRC-32 of the gunzipped bytes. */
  crc32: number
  /** Runs that are left out, because another blob has them: where they belong, where they are there, how long. */
  shared?: [number, number, number][]
}

export interface Figure {
  name: string
  value: number
  unit: string
}

export interface Field {
  rows: number
  cols: number
  x: Range
  y: Range
}

export interface Manifest {
  schema: number
  version: string
  live: boolean
  title: string
  run: string
  created: string
  data: {
    name: string
    title: string
    classes: string[]
    /** Channels, height, width. */
    shape: [number, number, number]
    /** How pictures become like the training images; background null: light and dark are never exchanged; backdrop: what is behind transparent pixels, 0 to 255. */
    preparation: { background: 'dark' | 'bright' | null; backdrop: number | null }
    train: number
    test: number
    /** What the images are called that are not trained on. */
    split?: string
  }
  model: {
    latent: number
    recipe: string
    parts: Record<string, string | boolean>
    seed: number
    epochs: number
    decoder: { input: string | string[]; output: string }
    encoder: { input: string | string[]; output: string[] }
    probabilistic: boolean
    /** Whether an encoder gives the parameters of q(z | x). */
    amortised: boolean
    /** Of inference by Bayes' rule: its grid points, and the weight of the KL. */
    grid: { points: number; beta: number } | null
    conditional: number | null
    prior: { kind: string; standard_normal?: boolean } | null
    kl_per_dimension: number[] | null
    /** How the codes of a discrete model are laid out. */
    codes?: CodesAbout | null
    /** Numbers in each layer below the top of a ladder. */
    below?: number[] | null
    [more: string]: unknown
  }
  figures: Figure[]
  /** What the evaluation found a user should know first: collapse, or too little training. */
  remarks: string[]
  colours: string[]
  /** Pieces of classes and the image in the middle of each, those of a class together, the largest first. */
  islands?: { label: number; index: number; share: number }[] | null
  /** The image that stands for each class. */
  representatives?: (number | null)[] | null
  percentiles: number[]
  selftest: { count: number; tolerance: number }
  field: Field | null
  /** Which images have their posterior's mass on a grid of so many cells a side: where it is no diagonal Gaussian. */
  masses?: { first: number; count: number; side: number } | null
  /** Of which images the page has the terms of the negative ELBO. */
  terms?: { first: number; count: number } | null
  /** log q at a typical code, in nats; null where codes have no density. */
  density?: { typical: number } | null
  /** What a classifier says of a window of a plane, and what it goes by. */
  classifier?: { by: string; plane: string; x: Range; y: Range } | null
  originals?: { first: number; count: number; columns: number } | null
  film?: FilmEntry | null
  /** Of a run in training: the weights that its networks are given, as they are learned. */
  following?: Partial<Record<'decoder' | 'encoder', WeightShapes>> | null
  /** Of a set that only the server has; the page then has a sample of it. */
  pyramid?: PyramidEntry | null
  /** Of a training that is changed while it is watched. */
  play?: PlayEntry | null
  /** Of a run whose model can be trained anew in the page. */
  trainable?: Trainable | null
  /** Of a page that an outer page shows beside another run's: on which plane its codes lie as the other's. */
  partner?: { basis: number[][] | null; origin: number[] | null } | null
  blobs: Record<string, BlobEntry>
}

/** The number of this page, the knobs as the recipe has them, and the least and greatest value of each. */
export interface PlayEntry {
  page: number
  knobs: Record<string, number>
  limits: Record<string, Range>
}

/** A training whose steps are the graphs `train_step`, `train_look` and `train_decoder`. */
export interface Trainable {
  /** Images of a step. */
  batch: number
  /** How many numbers of its state, the first, are the decoder's weights. */
  weights: number
  /** Grid points of inference. */
  points: number
  knobs: { beta: number; lr: number; seed: number }
  /** The parts of the state before the first step: kind, its number, and how many numbers. */
  start: ['normal' | 'uniform' | 'mean' | 'constant', number, number][]
}

/** Names and shapes of weights that travel one after the other. */
export type WeightShapes = [string, number[]][]

/** Snapshots of the training, the last of them the one that the page itself shows. */
export interface FilmEntry {
  /** Which images lie in it. */
  first: number
  count: number
  snapshots: { step: number; epoch: number }[]
  weights: WeightShapes
}

export class PageError extends Error {}

/** The manifest in the text, or PageError when this page cannot read it. */
export function readManifest(text: string): Manifest {
  const manifest = parse(text)
  if (manifest.schema !== SCHEMA)
    throw new PageError(
      `This page reads schema ${SCHEMA} and was given schema ${String(manifest.schema)}. ` +
        'Save it again with the same version of vaescape.',
    )
  return manifest
}

function parse(text: string): Manifest {
  try {
    return JSON.parse(text) as Manifest
  } catch {
    throw new PageError('This file is incomplete: its description cannot be read. Save it again.')
  }
}
